-- Adds to a prepaid balance, once for each id.
-- KEYS: budget: "budget" -> budget, "topup <id>" -> top-up
-- ARGV: 1 id, 2 the top-up, JSON, 3 currency that the budget must have, 4 how many top-ups there may be,
--       5 its amount
-- Returns "ok", "missing" without a prepaid budget in that currency, "counted" if it was
-- there, "taken" if another one has its id, "full".
local field = 'topup ' .. ARGV[1]
local was = redis.call('HGET', KEYS[1], field)
if was then
  was = cjson.decode(was)
  if was['amount'] ~= ARGV[5] or was['currency'] ~= ARGV[3] then return 'taken' end
  return 'counted'
end
local raw = redis.call('HGET', KEYS[1], 'budget')
if not raw then return 'missing' end
local budget = cjson.decode(raw)
if budget['mode'] ~= 'prepaid' or budget['currency'] ~= ARGV[3] then return 'missing' end
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) then return 'full' end
redis.call('HSET', KEYS[1], field, ARGV[2])
return 'ok'

-- Replaces a budget, and adds to its balance what was paid: both or neither.
-- KEYS: budget: "budget" -> budget, "topup <id>" -> top-up, "since <currency>" -> first
--       month that a prepaid balance in it pays
-- ARGV: 1 the budget, JSON, 2 its currency, 3 since when that one pays, "" if it is not prepaid;
--       with a top-up also 4 its id, 5 the top-up, JSON, 6 its amount, 7 how many there may be
-- Returns "ok", "counted" if the top-up was there, "taken" if another one has its id, "full",
-- "operators" if the budget is an operator's and the new one is not.
local was = redis.call('HGET', KEYS[1], 'budget')
if was and cjson.decode(was)['by_operator'] and not cjson.decode(ARGV[1])['by_operator'] then
  return 'operators'
end
local answer = 'ok'
if ARGV[4] then
  local field = 'topup ' .. ARGV[4]
  local there = redis.call('HGET', KEYS[1], field)
  if there then
    there = cjson.decode(there)
    if there['amount'] ~= ARGV[6] or there['currency'] ~= ARGV[2] then return 'taken' end
    answer = 'counted'
  else
    if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[7]) then return 'full' end
    redis.call('HSET', KEYS[1], field, ARGV[5])
  end
end
if ARGV[3] ~= '' then redis.call('HSETNX', KEYS[1], 'since ' .. ARGV[2], ARGV[3]) end
redis.call('HSET', KEYS[1], 'budget', ARGV[1])
return answer

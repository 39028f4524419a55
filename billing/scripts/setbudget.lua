-- Replaces a budget, and adds to its balance what was paid: both or neither.
-- KEYS: budget: "budget" -> budget, "topup <id>" -> top-up
-- ARGV: 1 the budget, JSON; with a top-up also 2 its id, 3 the top-up, JSON, 4 its amount,
--       5 how many top-ups there may be, 6 its currency
-- Returns "ok", "counted" if the top-up was there, "taken" if another one has its id, "full".
local answer = 'ok'
if ARGV[2] then
  local field = 'topup ' .. ARGV[2]
  local was = redis.call('HGET', KEYS[1], field)
  if was then
    was = cjson.decode(was)
    if was['amount'] ~= ARGV[4] or was['currency'] ~= ARGV[6] then return 'taken' end
    answer = 'counted'
  else
    local there = redis.call('HLEN', KEYS[1]) - redis.call('HEXISTS', KEYS[1], 'budget')
    if there >= tonumber(ARGV[5]) then return 'full' end
    redis.call('HSET', KEYS[1], field, ARGV[3])
  end
end
redis.call('HSET', KEYS[1], 'budget', ARGV[1])
return answer

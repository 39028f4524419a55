-- Claims doubtful batches of an instance for who has counted them, and lists those that nobody has answered.
-- KEYS: hash: <partition>:<offset> -> "<doubter> <unix s> open|counted"
-- ARGV: 1 ms that the hash is kept, 2 seconds that a doubt is kept; then for each claim two: field, doubter
-- Returns: how many doubts there are; for each claim one of: new (it is from now on), open (nobody has answered yet), counted (another
--          gateway counted the original), taken (another one counted it as a doubt, too); then for each open
--          doubt its field.
local now = tonumber(redis.call('TIME')[1])
local there, n = {}, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local who, at, state = string.match(all[i + 1], '^(%S+) (%d+) (%a+)$')
  if not who or math.abs(now - tonumber(at)) > tonumber(ARGV[2]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    there[all[i]] = { who, state }
    n = n + 1
  end
end
local out = { 0 }
for i = 3, #ARGV, 2 do
  local is, answer = there[ARGV[i]], 'taken'
  if not is then
    answer = 'new'
    is = { ARGV[i + 1], 'open' }
    there[ARGV[i]] = is
    n = n + 1
    redis.call('HSET', KEYS[1], ARGV[i], string.format('%s %.0f open', ARGV[i + 1], now))
  elseif is[1] == ARGV[i + 1] then
    answer = is[2]
  end
  out[#out + 1] = answer
end
if #ARGV > 2 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
for field, is in pairs(there) do
  if is[2] == 'open' then out[#out + 1] = field end
end
out[1] = tostring(n)
return out

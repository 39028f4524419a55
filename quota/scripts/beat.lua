-- A gateway says that it lives, and asks who else does.
-- KEYS: hash: gateway -> unix us; ARGV: 1 gateway, 2 "1" if it leaves
-- Returns: 1 if it was known to live, else 0; then the gateways that live.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local known, alive = 0, { 0 }
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if math.max(now - all[i + 1], 0) / 1e6 > 2.5 then
    redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] == ARGV[1] then
    known = 1
  else
    alive[#alive + 1] = all[i]
  end
end
if ARGV[2] == '1' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[1], 60000)
  alive[#alive + 1] = ARGV[1]
end
alive[1] = known
return alive

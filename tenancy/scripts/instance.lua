-- Writes an instance's record if nobody else did meanwhile.
-- KEYS: record, then whatever else is the instance's
-- ARGV: 1 stamp, unique to this write
--       2 the version that must be there; "0": nothing may be there
--       3 the new instance, JSON
--       4 not after, unix ms by Redis' clock; "0": whenever
--       5 "drop" removes all users and settings first, "" does not
--       6... pairs of user name and user, JSON
local cur = redis.call('HMGET', KEYS[1], 'stamp', 'instance')
if cur[1] == ARGV[1] then
  return 'ok' -- done already: the client asks again because it lost our answer
end
if ARGV[4] ~= '0' then
  local t = redis.call('TIME')
  if t[1] * 1000 + math.floor(t[2] / 1000) > tonumber(ARGV[4]) then
    return 'late'
  end
end
if ARGV[2] == '0' then
  if cur[2] then return 'exists' end
else
  if not cur[2] then return 'missing' end
  if cjson.decode(cur[2])['version'] ~= tonumber(ARGV[2]) then return 'conflict' end
end
if ARGV[5] == 'drop' then
  redis.call('DEL', unpack(KEYS))
end
redis.call('HSET', KEYS[1], 'instance', ARGV[3], 'stamp', ARGV[1])
for i = 6, #ARGV, 2 do
  redis.call('HSET', KEYS[1], 'user:' .. ARGV[i], ARGV[i + 1])
end
return 'ok'

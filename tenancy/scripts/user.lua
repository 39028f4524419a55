-- Creates, replaces or removes one user of an instance. Its API keys go with it: they
-- must not open what somebody else gets under its name.
-- KEYS: record, API keys
-- ARGV: 1 stamp, unique to this write
--       2 user name
--       3 the new user, JSON; "" removes it
--       4 the version that must be there; "0": no such user may be there, or for a removal any version
--       5 how many users an instance may have
local field = 'user:' .. ARGV[2]
local cur = redis.call('HMGET', KEYS[1], 'stamp', 'instance', field)
if cur[1] == ARGV[1] then
  return 'ok' -- done already: the client asks again because it lost our answer
end
if not cur[2] or cjson.decode(cur[2])['state'] == 'deleted' then
  return 'no instance'
end
if ARGV[3] == '' then
  if not cur[3] then return 'missing' end
  if ARGV[4] ~= '0' and cjson.decode(cur[3])['version'] ~= tonumber(ARGV[4]) then return 'conflict' end
  redis.call('HDEL', KEYS[1], field)
  local keys = redis.call('HGETALL', KEYS[2])
  for i = 1, #keys, 2 do
    if cjson.decode(keys[i + 1])['user'] == ARGV[2] then
      redis.call('HDEL', KEYS[2], keys[i])
    end
  end
else
  if ARGV[4] == '0' then
    if cur[3] then return 'exists' end
    -- two fields of the record are not users
    if redis.call('HLEN', KEYS[1]) - 2 >= tonumber(ARGV[5]) then return 'full' end
  else
    if not cur[3] then return 'missing' end
    if cjson.decode(cur[3])['version'] ~= tonumber(ARGV[4]) then return 'conflict' end
  end
  redis.call('HSET', KEYS[1], field, ARGV[3])
end
redis.call('HSET', KEYS[1], 'stamp', ARGV[1])
return 'ok'

-- Adds or removes aliases of an instance, all or nothing.
-- KEYS: record, aliases: "v <kind> <virtual>" and "p <kind> <physical>" -> the alias, JSON
-- ARGV: 1 stamp, unique to this write
--       2 how many aliases there may be; "0": remove those given
--       3 not after, unix ms by Redis' clock; "0": whenever
--       4... for each alias its two fields and its JSON
local cur = redis.call('HMGET', KEYS[1], 'stamp', 'instance')
if cur[1] == ARGV[1] then
  return 'ok' -- done already: the client asks again because it lost our answer
end
local state = cur[2] and cjson.decode(cur[2])['state']
if not state or state == 'deleted' then
  return 'no instance'
end
if ARGV[3] ~= '0' then
  local t = redis.call('TIME')
  if t[1] * 1000 + math.floor(t[2] / 1000) > tonumber(ARGV[3]) then
    return 'late'
  end
end
if ARGV[2] == '0' then
  for i = 4, #ARGV, 3 do
    -- Another one of that name may have been put since it was looked up.
    if redis.call('HGET', KEYS[2], ARGV[i]) ~= ARGV[i + 2] then return 'missing' end
  end
  for i = 4, #ARGV, 3 do
    redis.call('HDEL', KEYS[2], ARGV[i], ARGV[i + 1])
  end
else
  if state == 'deleting' then
    return 'no instance'
  end
  for i = 4, #ARGV, 3 do
    if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 or redis.call('HEXISTS', KEYS[2], ARGV[i + 1]) == 1 then
      return 'exists'
    end
  end
  if redis.call('HLEN', KEYS[2]) / 2 + (#ARGV - 3) / 3 > tonumber(ARGV[2]) then
    return 'full'
  end
  for i = 4, #ARGV, 3 do
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2], ARGV[i + 1], ARGV[i + 2])
  end
end
redis.call('HSET', KEYS[1], 'stamp', ARGV[1])
return 'ok'

-- Claims a display name within a tenant for an instance.
-- KEYS: names of the tenant: name -> "<instance id> <unix ms> <stamp>"
-- ARGV: 1 name, 2 instance id, 3 stamp, 4 a claim that was found stale and may be overwritten, or ""
--       5 the name that the instance had before, or ""
-- Returns: the claim that is in the way or "", unix ms by this Redis, the claim on the former name or "".
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local cur = redis.call('HGET', KEYS[1], ARGV[1])
if cur and cur ~= ARGV[4] and string.match(cur, '^(%S+)') ~= ARGV[2] then
  return { cur, now, '' }
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. now .. ' ' .. ARGV[3])
local former = ''
if ARGV[5] ~= '' then
  former = redis.call('HGET', KEYS[1], ARGV[5]) or ''
end
return { '', now, former }

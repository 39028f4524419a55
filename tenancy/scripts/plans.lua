-- Changes limits of plans, and announces that. All keys share a slot, so it is one step.
-- KEYS: plans, changes, revision
-- ARGV: 1 stamp, unique to this write
--       2 about how many entries the stream keeps
--       3 what stands in the stream in place of an instance id
--       4 n, how many fields to remove
--       5... those fields, then pairs of field and value to put
-- Returns the revision.
if redis.call('HGET', KEYS[1], 'stamp') == ARGV[1] then
  return tonumber(redis.call('GET', KEYS[3]) or '0') -- done already: our answer was lost
end
local first = 5 + tonumber(ARGV[4])
for i = 5, first - 1 do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
for i = first, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'stamp', ARGV[1])
local rev = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'kind', 'change', 'id', ARGV[3], 'rev', rev)
return rev

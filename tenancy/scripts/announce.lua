-- Appends to the change stream, and keeps the index of ids with it.
-- KEYS: changes, revision, index
-- ARGV: 1 kind: "intent" (a write may follow) or "change" (it is done)
--       2 instance id
--       3 about how many entries the stream keeps
--       4 what happens to the index: "add", "remove" or ""
-- Returns the revision: a change makes a new one, an intent carries the latest.
local rev
if ARGV[1] == 'change' then
  rev = redis.call('INCR', KEYS[2])
else
  rev = redis.call('GET', KEYS[2]) or 0
end
if ARGV[4] == 'add' then
  redis.call('ZADD', KEYS[3], 0, ARGV[2])
elseif ARGV[4] == 'remove' then
  redis.call('ZREM', KEYS[3], ARGV[2])
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'kind', ARGV[1], 'id', ARGV[2], 'rev', rev)
return tonumber(rev)

-- Where the change stream ends now, as a place to follow it from.
-- KEYS: changes, revision
-- ARGV: 1 about how many entries the stream keeps
-- Returns: id of the last entry, revision. A stream that is empty, or whose last
-- entry does not fit the revision (one of the two keys was lost), gets a mark:
-- a follower then always stands on an entry that proves which history it has seen.
local rev = redis.call('GET', KEYS[2]) or '0'
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #last == 1 then
  local f = last[1][2]
  for i = 1, #f, 2 do
    if f[i] == 'rev' and f[i + 1] == rev then
      return { last[1][1], tonumber(rev) }
    end
  end
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'kind', 'mark', 'id', '', 'rev', rev)
return { id, tonumber(rev) }

-- A gateway says that it lives, and up to where it follows.
-- KEYS: gateways: gateway -> "<revision> <unix ms>"; changes, revision, settling
-- ARGV: 1 gateway, 2 id of the last entry it has applied, 3 that entry's revision; "-1": it does not know
--       4 for how many ms a report counts, 5 after how many ms it is removed
--       6 "1" if it has reported before in its life
--       7 for how many ms nobody is sure of being waited for, after redis lost the reports
-- The entry must be in the stream with that revision. If it is not, Redis has
-- lost what the gateway has seen (flush, older dump, trimmed): the revision is of
-- another life and counts for nothing.
-- A gateway that had reported and finds its report gone (or too old) is not the
-- only one: until the others had time to report again, no count is complete.
-- Returns: 1 if the entry is there, else 0; the present revision.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local known = 0
local present = tonumber(redis.call('GET', KEYS[3]) or '0')
local e = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])
if #e == 1 then
  local f = e[1][2]
  for i = 1, #f, 2 do
    if f[i] == 'rev' and f[i + 1] == ARGV[3] and tonumber(ARGV[3]) <= present then known = 1 end
  end
end
local rev = '-1'
if known == 1 then rev = ARGV[3] end
if ARGV[6] == '1' then
  local mine = redis.call('HGET', KEYS[1], ARGV[1])
  if not mine or math.abs(now - tonumber(string.match(mine, '(%d+)$'))) > tonumber(ARGV[4]) then
    redis.call('SET', KEYS[4], string.format('%.0f', now + tonumber(ARGV[7])))
  end
end
redis.call('HSET', KEYS[1], ARGV[1], rev .. ' ' .. string.format('%.0f', now))
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at = tonumber(string.match(all[i + 1], '(%d+)$'))
  if not at or math.abs(now - at) > tonumber(ARGV[5]) then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return { known, present }

-- Changes one kind of an instance's settings: a hash beside its record.
-- KEYS: record, settings
-- ARGV: 1 stamp, unique to this write
--       2 the stamp that the record must have; "": any
--       3 how many fields there may be
--       4 "fresh": refuse if a field to put is there already; "there": refuse if one
--         to remove is not; "whole": remove all that are not put;
--         "before <unix ms>": refuse from then on, by Redis' clock
--       5 n, how many fields to remove
--       6... those fields, then pairs of field and value to put
local cur = redis.call('HMGET', KEYS[1], 'stamp', 'instance')
if cur[1] == ARGV[1] then
  return 'ok' -- done already: the client asks again because it lost our answer
end
if not cur[2] or cjson.decode(cur[2])['state'] == 'deleted' then
  return 'no instance'
end
if ARGV[2] ~= '' and cur[1] ~= ARGV[2] then
  return 'changed'
end
local before = string.match(ARGV[4], '^before (%d+)$')
if before then
  local t = redis.call('TIME')
  if t[1] * 1000 + math.floor(t[2] / 1000) > tonumber(before) then
    return 'late'
  end
end
local first = 6 + tonumber(ARGV[5])
local grows = 0
for i = first, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then
    grows = grows + 1
  elseif ARGV[4] == 'fresh' then
    return 'exists'
  end
end
local gone = 0
for i = 6, first - 1 do
  gone = gone + redis.call('HEXISTS', KEYS[2], ARGV[i])
end
if ARGV[4] == 'there' and gone < first - 6 then
  return 'missing'
end
if ARGV[4] == 'whole' then
  if (#ARGV - first + 1) / 2 > tonumber(ARGV[3]) then return 'full' end
  redis.call('DEL', KEYS[2])
  grows = 0
end
if grows > 0 and redis.call('HLEN', KEYS[2]) - gone + grows > tonumber(ARGV[3]) then
  return 'full'
end
for i = 6, first - 1 do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
for i = first, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'stamp', ARGV[1])
return 'ok'

-- Gives a display name back.
-- KEYS: names of the tenant
-- ARGV: 1 name, 2 instance id, 3 the very claim to release, or "": any of the instance's
local cur = redis.call('HGET', KEYS[1], ARGV[1])
if not cur then return 0 end
if ARGV[3] ~= '' then
  if cur ~= ARGV[3] then return 0 end
elseif string.match(cur, '^(%S+)') ~= ARGV[2] then
  return 0
end
return redis.call('HDEL', KEYS[1], ARGV[1])

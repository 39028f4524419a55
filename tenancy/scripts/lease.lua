-- Takes or renews a lease.
-- KEYS: lease; ARGV: 1 owner, 2 ms until it ends by itself
-- Returns 1 if the owner holds it now, 0 if somebody else does.
local cur = redis.call('GET', KEYS[1])
if cur and cur ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1

-- Says that all hours up to one are sealed, if the writer is still who may seal.
-- KEYS: 1 hash: hour, since; 2 lease (seal_lease.lua); ARGV: 1 token, 2 hour
-- Returns 1; 0 if somebody else has the lease, or had it meanwhile.
if redis.call('HGET', KEYS[2], 'token') ~= ARGV[1] then return 0 end
local hour = redis.call('HGET', KEYS[1], 'hour')
if not hour or tonumber(hour) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'hour', ARGV[2])
end
return 1

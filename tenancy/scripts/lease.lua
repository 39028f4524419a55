-- Takes or renews a lease.
-- KEYS: lease: "<unix ms of its end> <owner>"; ARGV: 1 owner, 2 ms until it ends by itself
-- The end is compared, not left to the key's expiry alone: an embedded Redis may not expire keys.
-- Returns 1 if the owner holds it now, 0 if somebody else does.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local cur = redis.call('GET', KEYS[1])
if cur then
  local till, owner = string.match(cur, '^(%d+) (.*)$')
  if till and tonumber(till) > now and owner ~= ARGV[1] then return 0 end
end
local till = string.format('%.0f', now + tonumber(ARGV[2]))
redis.call('SET', KEYS[1], till .. ' ' .. ARGV[1], 'PX', ARGV[2])
return 1

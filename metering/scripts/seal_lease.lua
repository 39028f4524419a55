-- Takes or renews the right to seal, with a token that grows with each holder.
-- KEYS: hash: token, till (unix ms), owner; ARGV: 1 owner, 2 ms until it ends by itself
-- The end is compared, not left to an expiry: an embedded Redis may not expire keys.
-- Returns the token if the owner holds it now, 0 if somebody else does.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local token, till, owner = unpack(redis.call('HMGET', KEYS[1], 'token', 'till', 'owner'))
if owner ~= ARGV[1] then
  if till and tonumber(till) > now then return 0 end
  token = (tonumber(token) or 0) + 1
end
redis.call('HSET', KEYS[1], 'token', token, 'till', string.format('%.0f', now + tonumber(ARGV[2])), 'owner', ARGV[1])
return tonumber(token)

-- A gateway says of an hour that it serves in it, or that Redis has all that it counted.
-- KEYS: hash: <gateway>/<epoch> -> open|final; ARGV: 1 ms that the hash is kept; then two for each: field, state
-- Returns for each what was there, or "".
-- What was final stays so, should an older call arrive late.
local out = {}
for i = 2, #ARGV, 2 do
  local was = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  if was ~= 'final' and was ~= ARGV[i + 1] then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  out[#out + 1] = was
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return out

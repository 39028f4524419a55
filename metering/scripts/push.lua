-- Writes counts of one instance and hour that are newer than what is there, or of the
-- same sequence and other than what is there: that is damaged.
-- KEYS: hash: field -> "<seq> ..."
-- ARGV: 1 ms that the hash is kept; then for each count three: field, seq, value
-- Returns for each count the sequence that was there, as text; 0 if none, or none that
-- can be read.
local out = {}
for i = 2, #ARGV, 3 do
  local there = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  local was = string.match(there, '^(%d+) ') or '0'
  local more = tonumber(ARGV[i + 1]) - tonumber(was)
  if more > 0 or more == 0 and there ~= ARGV[i + 2] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  end
  out[#out + 1] = was
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return out

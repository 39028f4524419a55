-- Takes marks away that have been dealt with, unless they were made anew meanwhile.
-- KEYS: hash: "<hour> <instance>" -> stamp; ARGV: for each mark two: field, stamp
-- Returns how many were taken away.
local n = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    n = n + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return n

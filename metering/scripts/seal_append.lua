-- Appends records of one day to an instance's chain, if it ends where the writer thinks.
-- KEYS: 1 head: hash of number, hash, hour, born; 2 day: hash number -> record; 3 the same of the breakdown
-- ARGV: 1 number that the head must have ('0': none), 2 its hash
--       3 number, 4 hash, 5 hour of the head from now on, 6 the oldest hour in what is appended
--       7 unix ms when the day ends by itself
--       8... for each record three: which key, number, record
-- Returns 'ok', 'moved' (the head is another one) or 'taken' (a record is there with such a number).
local number, hash = unpack(redis.call('HMGET', KEYS[1], 'number', 'hash'))
if number == ARGV[3] and hash == ARGV[4] and ARGV[3] ~= ARGV[1] then
  return 'ok' -- done already: the client asks again because it lost our answer
end
if (number or '0') ~= ARGV[1] or (hash or '') ~= ARGV[2] then
  return 'moved'
end
for i = 8, #ARGV, 3 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i + 1]) == 1 or redis.call('HEXISTS', KEYS[3], ARGV[i + 1]) == 1 then
    return 'taken'
  end
end
for i = 8, #ARGV, 3 do
  redis.call('HSET', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2])
end
local hour, born = unpack(redis.call('HMGET', KEYS[1], 'hour', 'born'))
if not hour or tonumber(hour) < tonumber(ARGV[5]) then hour = ARGV[5] end
if not born or tonumber(born) > tonumber(ARGV[6]) then born = ARGV[6] end
redis.call('HSET', KEYS[1], 'number', ARGV[3], 'hash', ARGV[4], 'hour', hour, 'born', born)
redis.call('PEXPIREAT', KEYS[2], ARGV[7])
redis.call('PEXPIREAT', KEYS[3], ARGV[7])
return 'ok'

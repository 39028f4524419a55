-- Makes the statements of a tenant's month final, once.
-- KEYS: billed: month -> totals; statements: currency -> statement; marks: instance -> number, and when
-- ARGV: 1 month, 2 totals, 3 n, how many statements
--       4... n pairs of currency and statement, then pairs of fields and values of the marks
-- Returns 1, or 0 if they are final already.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
redis.call('DEL', KEYS[2], KEYS[3])
local first = 4 + 2 * tonumber(ARGV[3])
for i = 4, first - 1, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
for i = first, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1

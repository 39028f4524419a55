-- Tells that a budget's threshold was crossed, once a month and amount.
-- KEYS: raised: "<threshold> <amount>" -> when; events
-- ARGV: 1 threshold and amount, 2 when, 3 the event, JSON
--       4 for how many ms both are kept, 5 how many events are kept
-- Returns 1, or 0 if it was told before.
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'e', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1

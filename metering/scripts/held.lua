-- Claims a minute of a pool for one gateway, which then counts what was held since the last one.
-- KEYS: string "<minute> <the one claimed before> <gateway>"
-- ARGV: 1 minute since 1970, 2 gateway, 3 newest minute that the gateway has seen claimed, 4 ms that the claim is kept
-- Returns: the minute claimed before (0: none is known), 1 if the minute is this gateway's, else 0
local last, before, who = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+) (%S+)$')
local minute, seen = tonumber(ARGV[1]), tonumber(ARGV[3])
if last and tonumber(last) == minute and who == ARGV[2] then
  return { tonumber(before), 1 } -- said once more: the answer was lost
end
last = math.max(tonumber(last or '0'), seen)
if last >= minute then
  return { last, 0 }
end
redis.call('SET', KEYS[1], string.format('%.0f %.0f %s', minute, last, ARGV[2]), 'PX', ARGV[4])
return { last, 1 }

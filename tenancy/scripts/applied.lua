-- Counts the gateways that have applied a revision.
-- KEYS: gateways, revision, settling
-- ARGV: 1 revision, 2 for how many ms a report counts
-- Returns: gateways that have applied it, gateways that live, the present revision,
-- 1 if reports were lost a moment ago, so that some may be missing.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ready, of = 0, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local rev, at = string.match(all[i + 1], '^(-?%d+) (%d+)$')
  -- A report from the future is one from before the clock was set back.
  if rev and math.abs(now - tonumber(at)) <= tonumber(ARGV[2]) then
    of = of + 1
    if tonumber(rev) >= tonumber(ARGV[1]) then ready = ready + 1 end
  end
end
local settling = 0
if tonumber(redis.call('GET', KEYS[3]) or '0') > now then settling = 1 end
return { ready, of, tonumber(redis.call('GET', KEYS[2]) or '0'), settling }

-- Lends tokens of buckets of one instance to a gateway: share.go, line by line.
-- KEYS: a hash for each bucket: tokens, at (unix us), "@<gateway>" -> "<epoch> <seq> <at> <demand> <admitted> <grant>";
--       at last a hash of peaks: "<bucket> <hour of the day>" -> "<hour since 1970> <most>"
-- ARGV: 1 gateway, 2 epoch, 3 seq; then for each bucket nine:
--       its name if its peaks are kept, else ""; rate, burst, demand, admitted, want, back, "1" if the gateway leaves; ms that the hash is kept after it is full
-- Returns for each bucket five: grant, tokens left, demand, admitted, gateways; numbers as text.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local gateway, epoch, seq = '@' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local text = function(x) return string.format('%.17g', x) end
local seconds = function(from, to) return math.max(to - from, 0) / 1e6 end
local peaks = KEYS[#KEYS]
local out = {}
for k = 1, #KEYS - 1 do
  local key, a = KEYS[k], 3 + (k - 1) * 9
  local name, rate, burst, demand = ARGV[a + 1], tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  local admitted, want, back, leaves = tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6]), tonumber(ARGV[a + 7]), ARGV[a + 8] == '1'
  local tokens, at, reports = burst, now, {}
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local field, value = all[i], all[i + 1]
    if field == 'tokens' then
      tokens = tonumber(value)
    elseif field == 'at' then
      at = tonumber(value)
    else
      local e, s, w, d, ad, g = string.match(value, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
      if g then
        reports[field] = { epoch = tonumber(e), seq = tonumber(s), at = tonumber(w), demand = tonumber(d), admitted = tonumber(ad), grant = tonumber(g) }
      end
    end
  end
  tokens = math.min(tokens + rate * seconds(at, now), burst)
  local last = reports[gateway]
  local late = last and (epoch < last.epoch or epoch == last.epoch and seq < last.seq)
  local repeated = last and epoch == last.epoch and seq == last.seq
  local elapsed = 0.2
  if last then elapsed = math.min(math.max(seconds(last.at, now), 0.2), 1) end
  if not late and not repeated then
    last = { epoch = epoch, seq = seq, at = now, demand = demand, admitted = admitted, grant = 0 }
    reports[gateway] = last
    tokens = math.max(math.min(tokens + back, burst), 0)
  end
  local sum, used, n = 0, 0, 0
  for field, r in pairs(reports) do
    local age = math.abs(now - r.at) / 1e6
    if age > 2.5 then
      redis.call('HDEL', key, field)
    else
      local fresh = math.pow(0.5, math.max(age - 0.35, 0) / 0.5)
      sum = sum + r.demand * fresh
      used = used + r.admitted * fresh
      n = n + 1
    end
  end
  local grant = 0
  if repeated then
    grant = last.grant
  elseif not late then
    if sum <= rate then
      grant = math.max(math.min(want, tokens), 0)
    else
      local part = 0.9 * demand / sum + 0.1 / n
      local fair = 1.1 * rate * elapsed * part
      grant = math.max(math.min(want, math.max(fair, tokens - 0.6 * burst), tokens), 0)
    end
    tokens = tokens - grant
  end
  redis.call('HSET', key, 'tokens', text(tokens), 'at', text(now))
  if leaves and not late then
    redis.call('HDEL', key, gateway)
  elseif not late and not repeated then
    redis.call('HSET', key, gateway, table.concat({ ARGV[2], ARGV[3], text(now), ARGV[a + 4], ARGV[a + 5], text(grant) }, ' '))
  end
  -- Without the hash the bucket would be full: it may go when it is.
  redis.call('PEXPIRE', key, string.format('%.0f', math.ceil((burst - tokens) / rate * 1000) + ARGV[a + 9]))
  if name ~= '' then
    local hour = math.floor(now / 3600e6)
    local field = name .. ' ' .. string.format('%.0f', hour % 24)
    local h, most = string.match(redis.call('HGET', peaks, field) or '', '^(%S+) (%S+)$')
    if tonumber(h) ~= hour or used > tonumber(most) then
      redis.call('HSET', peaks, field, string.format('%.0f', hour) .. ' ' .. text(used))
      redis.call('PEXPIRE', peaks, 90000000) -- 25 hours
    end
  end
  for _, x in ipairs({ grant, tokens, sum, used, n }) do out[#out + 1] = text(x) end
end
return out

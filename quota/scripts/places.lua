-- Gives places for connections of an instance to a gateway: places.go, line by line.
-- KEYS: hash: gateway -> "<epoch> <seq> <unix us> <granted>"
-- ARGV: 1 gateway, 2 epoch, 3 seq, 4 limit, 5 used, 6 wanted, 7 ms after which the hash ends;
--       8 "1" if the gateways that live are known; then those
-- Returns: places that the gateway has, places that others have
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local gateway, epoch, seq = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local limit, used, wanted = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local alive = {}
for i = 9, #ARGV do alive[ARGV[i]] = true end
local others, mine = 0, nil
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local e, s, at, granted = string.match(all[i + 1], '^(%S+) (%S+) (%S+) (%S+)$')
  if all[i] == gateway then
    mine = { epoch = tonumber(e), seq = tonumber(s), granted = tonumber(granted) }
  elseif ARGV[8] == '1' and not alive[all[i]] and math.max(now - at, 0) / 1e6 > 2.5 then
    redis.call('HDEL', KEYS[1], all[i])
  else
    others = others + granted
  end
end
if mine and (epoch < mine.epoch or epoch == mine.epoch and seq <= mine.seq) then
  return { mine.granted, others }
end
local free = math.max(limit - others, 0)
local need = used + wanted
local spare = free - need
if spare < math.max(64, math.floor(limit / 2)) then spare = 0 end
local granted = math.max(used, math.min(need + math.min(math.floor(spare / 16), 16, wanted), free))
if granted == 0 then
  redis.call('HDEL', KEYS[1], gateway)
else
  redis.call('HSET', KEYS[1], gateway, ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. string.format('%.0f', now) .. ' ' .. string.format('%.0f', granted))
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return { granted, others }

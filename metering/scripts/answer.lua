-- Answers doubts: the original was counted by who answers.
-- KEYS: hash as in doubts.lua; ARGV: fields
-- Returns how many of them were open.
local n = 0
for i = 1, #ARGV do
  local head = string.match(redis.call('HGET', KEYS[1], ARGV[i]) or '', '^(%S+ %d+) open$')
  if head then
    redis.call('HSET', KEYS[1], ARGV[i], head .. ' counted')
    n = n + 1
  end
end
return n

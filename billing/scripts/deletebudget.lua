-- Removes a budget; top-ups stay.
-- KEYS: budget: "budget" -> budget
-- ARGV: 1 "operator", or who may not remove an operator's
-- Returns "ok", "operators" if it is an operator's.
local was = redis.call('HGET', KEYS[1], 'budget')
if was and ARGV[1] ~= 'operator' and cjson.decode(was)['by_operator'] then return 'operators' end
redis.call('HDEL', KEYS[1], 'budget')
return 'ok'

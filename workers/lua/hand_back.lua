-- Gives a step back that its worker cannot end; another goes on behind what is logged.
--
-- KEYS[1]  job:{id}                   hash
-- KEYS[2]  leases                     sorted set
-- KEYS[3]  running:{model}            set
-- KEYS[4]  waiting:{model}            sorted set
-- KEYS[5]  held:{worker}              set
-- KEYS[6]  resend                     sorted set; score: the rank of the message to send
-- ARGV[1]  step
-- ARGV[2]  member of the step in the sets
-- ARGV[3]  attempt
-- ARGV[4]  prefix of waiting_of:{owner}:{model}
-- ARGV[5]  model
--
-- Returns 1, or 0 when the step was not the worker's any longer.

local terminal, state, attempt, key = unpack(redis.call('HMGET', KEYS[1], 'terminal',
  ARGV[1] .. ':state', ARGV[1] .. ':attempt', 'owner'))
redis.call('SREM', KEYS[5], ARGV[2])
if terminal or state ~= 'running' or attempt ~= ARGV[3] then
  return 0
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1] .. ':state', 'pending')
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('SREM', KEYS[3], ARGV[2])
redis.call('ZADD', KEYS[4], now_ms, ARGV[2])  -- rank 0: before all new work
if key and key ~= '' then
  redis.call('ZADD', ARGV[4] .. key .. ':' .. ARGV[5], now_ms, ARGV[2])
end
redis.call('ZADD', KEYS[6], 0, ARGV[2])
return 1

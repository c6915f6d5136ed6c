-- Lets steps wait for a worker whose time has come.
--
-- KEYS[1]  due      sorted set; score: ms of Redis TIME
-- KEYS[2]  resend   sorted set; score: the rank of the message to send
-- ARGV[1]  prefix of a job's record
-- ARGV[2]  steps woken at most
-- ARGV[3]  prefix of waiting:{model}
-- ARGV[4]  prefix of waiting_of:{owner}:{model}
--
-- Returns how many were due. A step whose job has ended is dropped.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do
  local job_id, step = string.match(member, '^(.*)|([^|]*)$')
  local terminal, state, model, owner = unpack(redis.call('HMGET', ARGV[1] .. job_id, 'terminal',
    step .. ':state', step .. ':model', 'owner'))
  if state == 'pending' and not terminal then
    redis.call('ZADD', ARGV[3] .. model, now_ms, member)
    if owner and owner ~= '' then
      redis.call('ZADD', ARGV[4] .. owner .. ':' .. model, now_ms, member)
    end
    redis.call('ZADD', KEYS[2], 0, member)
  end
  redis.call('ZREM', KEYS[1], member)
end
return #due

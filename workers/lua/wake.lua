-- Lets steps wait for a worker whose time has come.
--
-- Touches
--   due                         sorted set; score: ms of Redis TIME
--   job:{id}                    hash, of each step that is due
--   waiting:{model}             sorted set
--   waiting_of:{owner}:{model}  sorted set
--   resend                      sorted set; score: the rank of the message to send
--
-- Arguments
--   most  steps woken at most
--
-- Returns how many were due. A step whose job has ended is dropped.

local most = unpack(ARGV)

local members = redis.call('ZRANGEBYSCORE', key('due'), '-inf', now_ms, 'LIMIT', 0, most)
for _, member in ipairs(members) do
  local job_id, step = split_member(member)
  local terminal, state, model, owner = unpack(redis.call('HMGET', key('job', job_id), 'terminal',
    step .. ':state', step .. ':model', 'owner'))
  if state == 'pending' and not terminal then
    redeliver_step(member, model, owner)
  end
  redis.call('ZREM', key('due'), member)
end
return #members

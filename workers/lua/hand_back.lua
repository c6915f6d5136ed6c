-- Gives a step back that its worker cannot end; another goes on after what is logged.
--
-- Touches
--   job:{id}                    hash
--   leases                      sorted set
--   running:{model}             set
--   held:{worker}               set
--   waiting:{model}             sorted set
--   waiting_of:{owner}:{model}  sorted set
--   resend                      sorted set; score: the rank of the message to send
--
-- Arguments
--   job_id, step, model, attempt, worker
--
-- Returns 1, or 0 when the step was not the worker's any longer.

local job_id, step, model, attempt, worker = unpack(ARGV)
local record, member, field = key('job', job_id), member_of(job_id, step), step .. ':'

local terminal, state, current, owner = unpack(redis.call('HMGET', record, 'terminal',
  field .. 'state', field .. 'attempt', 'owner'))
if terminal or state ~= 'running' or current ~= attempt then
  redis.call('SREM', key('held', worker), member)
  return 0
end
redis.call('HSET', record, field .. 'state', 'pending')
release_step(member, model, worker)
redeliver_step(member, model, owner)
return 1

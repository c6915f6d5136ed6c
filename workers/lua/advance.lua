-- Ends the step that decided what comes next, and adds what it decided on.
--
-- Touches
--   job:{id}          hash
--   leases            sorted set
--   running:{model}   set, of the step that decided
--   held:{worker}     set
--   and for each new step what add_steps.lua touches
--
-- Arguments
--   job_id, step, model, attempt, worker   of the step that decided
--   steps                                  as in add_steps.lua
--
-- Returns 1, also when this very attempt had done so before; 0 when it may not: the job has ended,
-- or another attempt decides.

local FIRST_STEP = 6

local job_id, step, model, attempt, worker = unpack(ARGV, 1, FIRST_STEP - 1)
local record, field = key('job', job_id), step .. ':'

local terminal, state, current, owner, steps = unpack(redis.call('HMGET', record, 'terminal',
  field .. 'state', field .. 'attempt', 'owner', 'steps'))
if terminal or current ~= attempt then
  return 0
end
if state == 'done' then
  return 1
end
if state ~= 'running' then
  return 0
end
local names = add_steps(job_id, owner or '', STARTED_RANK, FIRST_STEP)
redis.call('HSET', record, field .. 'state', 'done',
  'steps', steps .. ' ' .. table.concat(names, ' '))
release_step(member_of(job_id, step), model, worker)
return 1

-- Takes the lease of one step, if it may run now.
--
-- Touches
--   job:{id}                    hash
--   job:{id}:events             stream
--   leases                      sorted set
--   waiting:{model}             sorted set
--   waiting_of:{owner}:{model}  sorted set
--   running:{model}             set
--   held:{worker}               set
--   queued                      sorted set
--   burden:{model}              hash
--   used                        hash
--
-- Arguments
--   job_id, step, model
--   worker    the id of the worker that takes it
--   lease_ms  length of the lease
--   call      a name for this very call: repeated after a lost answer, it takes the lease once
--   alone     '1' where nothing else runs on this worker, nor will while this step does, else ''
--
-- Returns {'taken', attempt, job JSON, ms of waiting, events, assignment JSON or ''}, the job's log
-- so far where the step was begun before; or {why not}: 'gone' (no such job), 'ended' (the job has
-- its terminal event), 'done' (the step has its outcome), 'held' (it runs; the keeper ends the
-- lease of a dead worker), 'early' (steps that it follows have not ended), 'late' (its deadline is
-- over; the keeper ends it), 'alone' (it crashed its worker and may only run alone).

local job_id, step, model, worker, lease_ms, call, alone = unpack(ARGV, 1, 7)
local record, member, field = key('job', job_id), member_of(job_id, step), step .. ':'

local state, terminal, owner, deadline_ms, job, step_state, only_alone, call_before, attempt,
  follows, assignment, added_ms = unpack(redis.call('HMGET', record, 'state', 'terminal', 'owner',
  'deadline_ms', 'job', field .. 'state', field .. 'alone', field .. 'call', field .. 'attempt',
  field .. 'follows', field .. 'assignment', field .. 'added_ms'))

if not state or terminal then
  dequeue_step(member, model, owner)
  subtract_queued_tokens(member, model)  -- the record may expire before anything ends the step
  return {state and 'ended' or 'gone'}
end
if step_state == 'done' then
  return {'done'}
end

-- What ran before waits from when it was given back.
local waits_from_ms = tonumber(added_ms)
local score = attempt and redis.call('ZSCORE', key('waiting', model), member)
if score then
  waits_from_ms = since_ms(score)
end

local function taken()
  local log = {}
  if tonumber(attempt) > 1 then
    for _, entry in ipairs(redis.call('XRANGE', key('job', job_id, 'events'), '-', '+')) do
      log[#log + 1] = entry[2][2]
    end
  end
  return {'taken', tonumber(attempt), job, now_ms - waits_from_ms, log, assignment or ''}
end

if call_before == call then
  return taken()
end
if step_state == 'running' then
  return {'held'}
end
if tonumber(follows or 0) > 0 then
  return {'early'}
end
if deadline_ms and now_ms >= tonumber(deadline_ms) then
  return {'late'}
end
if only_alone and alone ~= '1' then
  return {'alone'}
end

attempt = redis.call('HINCRBY', record, field .. 'attempt', 1)
redis.call('HSET', record, 'state', 'running', field .. 'state', 'running',
  field .. 'owner', worker, field .. 'call', call, field .. 'taken_ms', now_ms,
  field .. 'written', 0)
redis.call('ZADD', key('leases'), now_ms + lease_ms, member)
redis.call('SADD', key('running', model), member)
redis.call('SADD', key('held', worker), member)
redis.call('ZREM', key('queued'), job_id)
redis.call('HSET', key('used'), model, now_ms)
dequeue_step(member, model, owner)
return taken()

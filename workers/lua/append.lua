-- Appends events to their jobs' logs: the one way an event comes into being.
--
-- Touches, for each event:
--   job:{id}                    hash
--   job:{id}:events             stream
--   job:{id}:live               channel
--   cancels                     channel that tells workers which jobs and steps others ended
-- and where it ends a step or the job:
--   leases                      sorted set
--   running:{model}             set
--   held:{worker}               set
--   waiting:{model}             sorted set
--   waiting_of:{owner}:{model}  sorted set
--   burden:{model}              hash
--   pace:{model}                string
--   rounds                      sorted set
--   slots                       sorted set
--   queued                      sorted set
--   deadlines                   sorted set
--   webhooks                    sorted set
--   handoff:{job}:{round}       string
--   cache:{name}                sorted set
--   cache:{name}:sizes          hash
--   cache:{name}:expires        sorted set
--   idempotency:{scope}         string
--   dead                        sorted set
--   stored                      hash
--   stored:{owner}              hash
--
-- Arguments, for each event:
--   job_id
--   event    JSON without its number
--   step     '' where no step writes it
--   attempt  '' where another ends a step that has not ended
--   entry    number of the entry within the attempt
--   ends_as  state the job ends in, '' where it does not end
--   outcome  JSON, '' where the step does not end
--   text     the step's whole text, where what follows needs it
--   noted    field of the record in which what the event tells is kept, too; '' where none is
--   note     JSON of what is kept
--
-- Returns for each event its number in the job, or 0 when it was refused: there is no such job,
-- the job has its terminal event, the step has ended, or an older attempt wrote it. An entry that
-- was appended before (the answer to its writer was lost with a connection) gets the last number.

local ARGUMENTS_OF_EVENT = 10
local WEIGHT = 0.2  -- of the latest step in the moving average of what steps take

-- Nothing waits for a step or runs it any longer.
local function end_step(record, job_id, step, owner)
  local member = member_of(job_id, step)
  local model, worker = unpack(redis.call('HMGET', record, step .. ':model', step .. ':owner'))
  release_step(member, model, worker)
  redis.call('ZREM', key('rounds'), member)
  dequeue_step(member, model, owner)
  subtract_queued_tokens(member, model)
end

-- Once enough of those that a step follows have said something, the rest has its grace.
local function count_answer(record, follower, member)
  local quorum, grace_ms = unpack(redis.call('HMGET', record, follower .. ':quorum',
    follower .. ':grace_ms'))
  if quorum and redis.call('HINCRBY', record, follower .. ':answered', 1) == tonumber(quorum) then
    redis.call('ZADD', key('rounds'), 'LT', now_ms + grace_ms, member)
  end
end

-- What follows a step waits for a worker once all that it follows have ended.
local function release_follower(record, job_id, follower, owner, outcome, text)
  local member = member_of(job_id, follower)
  if redis.call('HINCRBY', record, follower .. ':follows', -1) > 0 then
    if cjson.decode(outcome).error == cjson.null and string.find(text, '%S') then
      count_answer(record, follower, member)
    end
    return
  end
  redis.call('ZREM', key('rounds'), member)
  redis.call('HSET', record, follower .. ':added_ms', now_ms)
  enqueue_step(member, redis.call('HGET', record, follower .. ':model'), owner, STARTED_RANK)
end

local function measure_pace(record, step)
  local model, taken_ms = unpack(redis.call('HMGET', record, step .. ':model', step .. ':taken_ms'))
  local pace = key('pace', model)
  local took_ms = now_ms - taken_ms
  local before = redis.call('GET', pace)
  if before then
    took_ms = before + WEIGHT * (took_ms - before)
  end
  redis.call('SET', pace, string.format('%.1f', took_ms))
end

-- What the job's caller sent goes now; only a dead letter keeps it, to be asked again.
local function end_job(record, events, job_id, owner)
  local steps, keep_s, webhook, scope = unpack(redis.call('HMGET', record, 'steps', 'keep_s',
    'webhook', 'scope'))
  for step in string.gmatch(steps or '', '%S+') do
    end_step(record, job_id, step, owner)
  end
  for _, name in ipairs({'slots', 'queued', 'deadlines'}) do
    redis.call('ZREM', key(name), job_id)
  end
  if webhook then
    redis.call('ZADD', key('webhooks'), now_ms, job_id)
  end
  if scope and split_member(redis.call('GET', key('idempotency', scope)) or '') == job_id then
    redis.call('EXPIRE', key('idempotency', scope), keep_s)
  end
  if not redis.call('ZSCORE', key('dead'), job_id) then
    forget_request(job_id)
  end
  redis.call('EXPIRE', record, keep_s)
  redis.call('EXPIRE', events, keep_s)
end

local numbers = {}
for job_id, event, step, attempt, entry, ends_as, outcome, text, noted, note in
  rows(1, ARGUMENTS_OF_EVENT) do
  local record, events = key('job', job_id), key('job', job_id, 'events')
  local seq, terminal, owner, current, written, step_state, follower = unpack(redis.call('HMGET',
    record, 'seq', 'terminal', 'owner', step .. ':attempt', step .. ':written', step .. ':state',
    step .. ':then'))
  local by_step = step ~= '' and attempt ~= ''
  local given_up = step ~= '' and attempt == ''
  local appended = 0

  if by_step and current == attempt and tonumber(written) >= tonumber(entry) then
    appended = tonumber(seq)
  elseif not seq or terminal or (by_step and (current ~= attempt or step_state ~= 'running'))
    or (given_up and step_state ~= 'running' and step_state ~= 'pending') then
    appended = 0
  else
    appended = redis.call('HINCRBY', record, 'seq', 1)
    event = numbered(event, appended)
    redis.call('XADD', events, appended .. '-0', 'e', event)
    count_bytes(job_id, owner, #event + #outcome + (outcome == '' and 0 or #text))
    if by_step then
      redis.call('HSET', record, step .. ':written', entry)
    end
    if noted ~= '' then
      redis.call('HSET', record, noted, note)
    end
    if outcome ~= '' then
      redis.call('HSET', record, step .. ':state', 'done', step .. ':outcome', outcome)
      if text ~= '' then
        redis.call('HSET', record, step .. ':text', text)
      end
      if ends_as == '' then  -- else every step ends with the job, below
        end_step(record, job_id, step, owner)
      end
      if given_up then
        redis.call('PUBLISH', key('cancels'), member_of(job_id, step))
      else
        measure_pace(record, step)
      end
      if follower then
        release_follower(record, job_id, follower, owner, outcome, text)
      end
    end
    if ends_as ~= '' then
      redis.call('HSET', record, 'state', ends_as, 'terminal', appended, 'ended_ms', now_ms)
      end_job(record, events, job_id, owner)
      if step == '' then
        redis.call('PUBLISH', key('cancels'), job_id)
      end
    end
    redis.call('PUBLISH', key('job', job_id, 'live'), event)
  end
  numbers[#numbers + 1] = appended
end
return numbers

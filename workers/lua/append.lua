-- Appends events to their jobs' logs: the one way an event comes into being.
--
-- KEYS[1]            leases            sorted set
-- KEYS[2]            slots             sorted set
-- KEYS[3]            queued            sorted set
-- KEYS[4]            deadlines         sorted set
-- KEYS[5]            webhooks          sorted set
-- KEYS[6]            rounds            sorted set
-- for each event:    job:{id}          hash
--                    job:{id}:events   stream
-- ARGV[1]            the channel that tells workers which jobs and steps others ended
-- ARGV[2..7]         prefixes of waiting:{model}, waiting_of:{owner}:{model}, running:{model},
--                    pace:{model}, held:{worker} and burden:{model}
-- for each event:    live channel, job id, event as JSON without its number,
--                    step ('' where no step writes it), attempt ('' where another ends a step that
--                    has not ended), number of the entry within the
--                    attempt, state the job ends in ('' where it does not end),
--                    outcome JSON ('' where the step does not end), and the step's whole text,
--                    where what follows needs it
--
-- Returns for each event its number in the job, or 0 when it was refused: there is no such job,
-- the job has its terminal event, the step has ended, or an older attempt wrote it. An entry that
-- was appended before (the answer to its writer was lost with a connection) gets the last number.

local FIRST_KEY, FIRST_ARG = 7, 8
local WEIGHT = 0.2  -- of the latest step in the moving average of what steps take

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- A step's own field goes with its part of the total, so that it is taken off once.
local function unburden(model, member)
  local burden = ARGV[7] .. model
  local tokens = redis.call('HGET', burden, member)
  if tokens then
    redis.call('HDEL', burden, member)
    redis.call('HINCRBY', burden, 'total', -tokens)
  end
  if redis.call('HLEN', burden) == 1 then
    redis.call('DEL', burden)
  end
end

local function forget_step(job, job_id, step, owner)
  local member = job_id .. '|' .. step
  local model, worker = unpack(redis.call('HMGET', job, step .. ':model', step .. ':owner'))
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZREM', KEYS[6], member)
  redis.call('SREM', ARGV[4] .. model, member)
  if worker then
    redis.call('SREM', ARGV[6] .. worker, member)
  end
  redis.call('ZREM', ARGV[2] .. model, member)
  if owner and owner ~= '' then
    redis.call('ZREM', ARGV[3] .. owner .. ':' .. model, member)
  end
  unburden(model, member)
end

-- Once enough of those that a step follows have said something, the rest has its grace.
local function mind_quorum(job, follower, member)
  local quorum, grace_ms = unpack(redis.call('HMGET', job, follower .. ':quorum',
    follower .. ':grace_ms'))
  if quorum and redis.call('HINCRBY', job, follower .. ':answered', 1) == tonumber(quorum) then
    redis.call('ZADD', KEYS[6], 'LT', now_ms + grace_ms, member)
  end
end

-- What follows a step waits for a worker once all that it follows have ended.
local function release_follower(job, job_id, step, outcome, text)
  local follower, owner = unpack(redis.call('HMGET', job, step .. ':then', 'owner'))
  if not follower then
    return
  end
  local member = job_id .. '|' .. follower
  if redis.call('HINCRBY', job, follower .. ':follows', -1) > 0 then
    if cjson.decode(outcome).error == cjson.null and string.find(text, '%S') then
      mind_quorum(job, follower, member)
    end
    return
  end
  redis.call('ZREM', KEYS[6], member)
  local model = redis.call('HGET', job, follower .. ':model')
  redis.call('HSET', job, follower .. ':added_ms', now_ms)
  redis.call('ZADD', ARGV[2] .. model, now_ms, member)  -- rank 0: the job has started
  if owner and owner ~= '' then
    redis.call('ZADD', ARGV[3] .. owner .. ':' .. model, now_ms, member)
  end
end

local function measure(job, step)
  local model, taken_ms = unpack(redis.call('HMGET', job, step .. ':model', step .. ':taken_ms'))
  local took_ms = now_ms - taken_ms
  local before = redis.call('GET', ARGV[5] .. model)
  if before then
    took_ms = before + WEIGHT * (took_ms - before)
  end
  redis.call('SET', ARGV[5] .. model, string.format('%.1f', took_ms))
end

local function finish(job, events, job_id)
  local owner, keep_s, webhook = unpack(redis.call('HMGET', job, 'owner', 'keep_s', 'webhook'))
  for step in string.gmatch(redis.call('HGET', job, 'steps') or '', '%S+') do
    forget_step(job, job_id, step, owner)
  end
  for i = 2, 4 do
    redis.call('ZREM', KEYS[i], job_id)
  end
  if webhook then
    redis.call('ZADD', KEYS[5], now_ms, job_id)
  end
  redis.call('EXPIRE', job, keep_s)
  redis.call('EXPIRE', events, keep_s)
end

local numbers = {}
for i = 1, (#KEYS - FIRST_KEY + 1) / 2 do
  local job, events = KEYS[FIRST_KEY + 2 * i - 2], KEYS[FIRST_KEY + 2 * i - 1]
  local at = FIRST_ARG + 9 * (i - 1)
  local live, job_id, event, step, attempt, entry, state, outcome, text = unpack(ARGV, at, at + 8)
  local seq, terminal, current, written, step_state = unpack(redis.call('HMGET', job,
    'seq', 'terminal', step .. ':attempt', step .. ':written', step .. ':state'))
  local by_step = step ~= '' and attempt ~= ''
  local given_up = step ~= '' and attempt == ''

  if by_step and current == attempt and tonumber(written) >= tonumber(entry) then
    numbers[i] = tonumber(seq)
  elseif not seq or terminal or (by_step and (current ~= attempt or step_state ~= 'running'))
    or (given_up and step_state ~= 'running' and step_state ~= 'pending') then
    numbers[i] = 0
  else
    seq = redis.call('HINCRBY', job, 'seq', 1)
    event = '{"seq":' .. seq .. ',' .. string.sub(event, 2)
    redis.call('XADD', events, seq .. '-0', 'e', event)
    if by_step then
      redis.call('HSET', job, step .. ':written', entry)
    end
    if outcome ~= '' then
      redis.call('HSET', job, step .. ':state', 'done', step .. ':outcome', outcome)
      if text ~= '' then
        redis.call('HSET', job, step .. ':text', text)
      end
      forget_step(job, job_id, step, nil)
      if given_up then
        redis.call('PUBLISH', ARGV[1], job_id .. '|' .. step)
      else
        measure(job, step)
      end
      release_follower(job, job_id, step, outcome, text)
    end
    if state ~= '' then
      redis.call('HSET', job, 'state', state, 'terminal', seq, 'ended_ms', now_ms)
      finish(job, events, job_id)
      if step == '' then
        redis.call('PUBLISH', ARGV[1], job_id)
      end
    end
    redis.call('PUBLISH', live, event)
    numbers[i] = seq
  end
end
return numbers

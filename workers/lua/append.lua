-- Appends events to their jobs' logs: the one way an event comes into being.
--
-- KEYS[1]            leases            sorted set
-- for each event:    job:{id}          hash
--                    job:{id}:events   stream
-- ARGV[1]            the channel that tells workers which jobs others ended
-- ARGV[2]            prefix of waiting:{model}, the sorted sets that an ended job leaves
-- for each event:    live channel, job id, event as JSON without its number,
--                    step ('' where no step writes it), attempt, number of the entry within the
--                    attempt, state the job ends in ('' where it does not end),
--                    outcome JSON ('' where the step does not end)
--
-- Returns for each event its number in the job, or 0 when it was refused: there is no such job,
-- the job has its terminal event, or an older attempt wrote it. An entry that was appended
-- before (the answer to its writer was lost with a connection) gets the last number.

local function forget_steps(job, job_id)
  for step in string.gmatch(redis.call('HGET', job, 'steps') or '', '%S+') do
    local member = job_id .. '|' .. step
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', ARGV[2] .. redis.call('HGET', job, step .. ':model'), member)
  end
end

local numbers = {}
for i = 1, (#KEYS - 1) / 2 do
  local job, events = KEYS[2 * i], KEYS[2 * i + 1]
  local live, job_id, event, step, attempt, entry, state, outcome =
    unpack(ARGV, 8 * i - 5, 8 * i + 2)
  local seq, terminal, current, written, step_state = unpack(redis.call('HMGET', job,
    'seq', 'terminal', step .. ':attempt', step .. ':written', step .. ':state'))
  local by_step = step ~= ''

  if by_step and current == attempt and tonumber(written) >= tonumber(entry) then
    numbers[i] = tonumber(seq)
  elseif not seq or terminal or (by_step and (current ~= attempt or step_state ~= 'running')) then
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
      redis.call('ZREM', KEYS[1], job_id .. '|' .. step)
    end
    if state ~= '' then
      local time = redis.call('TIME')
      redis.call('HSET', job, 'state', state, 'terminal', seq,
        'ended_ms', time[1] * 1000 + math.floor(time[2] / 1000))
      forget_steps(job, job_id)
      local keep_s = redis.call('HGET', job, 'keep_s')
      redis.call('EXPIRE', job, keep_s)
      redis.call('EXPIRE', events, keep_s)
      if not by_step then
        redis.call('PUBLISH', ARGV[1], job_id)
      end
    end
    redis.call('PUBLISH', live, event)
    numbers[i] = seq
  end
end
return numbers

-- Takes the leases of dead workers away; what they ran is to run again.
--
-- Touches
--   leases                      sorted set; its members name the jobs
--   job:{id}                    hash, of each lease that expired
--   worker:{id}                 string, of its worker
--   held:{worker}               set
--   running:{model}             set
--   waiting:{model}             sorted set
--   waiting_of:{owner}:{model}  sorted set
--   resend                      sorted set; score: the rank of the message to send
--
-- Arguments
--   most          leases to look at
--   lease_ms      length of a lease
--   forgotten_ms  after which a lease that a living worker forgot is taken from it
--   most_crashes  crashes alone that make a job a dead letter
--
-- A worker whose presence has expired is dead, and all it held crashed together; what held one
-- step alone is blamed for it. A lease that a living worker forgot counts as a crash too, in company
-- unless the step ran alone: what holds a worker up until its watchdog ends it is forgotten first.
-- After its second crash in company, or its first alone, a step runs alone.
--
-- Returns job id, step, attempt, owner and what becomes of it for each lease reclaimed: 'again',
-- 'alone' or 'poisoned' (its job is to be ended; reported again until that is done).

local most, lease_ms, forgotten_ms, most_crashes = unpack(ARGV)
forgotten_ms, most_crashes = tonumber(forgotten_ms), tonumber(most_crashes)

local leases = key('leases')
local reclaimed = {}

-- The clock was set back: nothing may be leased for longer than a lease is long.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, now_ms + 2 * lease_ms, '+inf')) do
  redis.call('ZADD', leases, now_ms + lease_ms, member)
end

local function report(...)
  for _, value in ipairs({...}) do
    reclaimed[#reclaimed + 1] = value
  end
end

-- The lease stays until the job is ended, so that it is reported again where that failed.
local function report_poisoned(member, job_id, step, attempt, worker)
  redis.call('ZADD', leases, now_ms + lease_ms, member)
  report(job_id, step, attempt, worker, 'poisoned')
end

local function blame(record, step, company)
  if company == 1 then
    redis.call('HSET', record, step .. ':alone', 1)
    if redis.call('HINCRBY', record, step .. ':crashes', 1) >= most_crashes then
      return 'poisoned'
    end
    return 'alone'
  end
  if redis.call('HINCRBY', record, step .. ':crashes_together', 1) > 1 then
    redis.call('HSET', record, step .. ':alone', 1)
    return 'alone'
  end
  return 'again'
end

-- `company`: how many steps crashed together.
local function reclaim(member, company)
  local job_id, step = split_member(member)
  local record = key('job', job_id)
  local attempt, worker, model, owner = unpack(redis.call('HMGET', record,
    step .. ':attempt', step .. ':owner', step .. ':model', 'owner'))
  local fate = blame(record, step, company)
  redis.call('HSET', record, step .. ':state', 'pending')
  release_step(member, model, worker)
  if fate == 'poisoned' then
    report_poisoned(member, job_id, step, attempt, worker)
  else
    redeliver_step(member, model, owner)
    report(job_id, step, attempt, worker, fate)
  end
end

local function is_running(member, worker)
  local job_id, step = split_member(member)
  local terminal, state, runs_on = unpack(redis.call('HMGET', key('job', job_id), 'terminal',
    step .. ':state', step .. ':owner'))
  return not terminal and state == 'running' and runs_on == worker
end

local function reclaim_all(worker)
  local crashed = {}
  for _, member in ipairs(redis.call('SMEMBERS', key('held', worker))) do
    if is_running(member, worker) then
      crashed[#crashed + 1] = member
    end
  end
  for _, member in ipairs(crashed) do
    reclaim(member, #crashed)
  end
  redis.call('DEL', key('held', worker))
end

local expired = redis.call('ZRANGEBYSCORE', leases, '-inf', now_ms, 'WITHSCORES', 'LIMIT', 0, most)
for i = 1, #expired, 2 do
  local member, expired_ms = expired[i], tonumber(expired[i + 1])
  local job_id, step = split_member(member)
  local terminal, state, worker, crashes, attempt, alone = unpack(redis.call('HMGET',
    key('job', job_id), 'terminal', step .. ':state', step .. ':owner', step .. ':crashes',
    step .. ':attempt', step .. ':alone'))
  if terminal or not state or state == 'done' then
    redis.call('ZREM', leases, member)
  elseif state == 'running' and redis.call('EXISTS', key('worker', worker)) == 0 then
    reclaim_all(worker)
  elseif state == 'running' and now_ms - expired_ms > forgotten_ms then
    reclaim(member, alone and 1 or 2)
  elseif state == 'pending' and tonumber(crashes or 0) >= most_crashes then
    report_poisoned(member, job_id, step, attempt, worker)
  elseif state == 'pending' then  -- dealt with in this very call
    redis.call('ZREM', leases, member)
  end
end
return reclaimed

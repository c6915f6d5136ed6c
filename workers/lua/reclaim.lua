-- Takes the leases of dead workers away; what they ran is to run again.
--
-- KEYS[1]  leases               sorted set; its members name the jobs
-- KEYS[2]  resend               sorted set; score: the rank of the message to send
-- ARGV[1]  prefix of a job's record
-- ARGV[2]  leases to look at
-- ARGV[3]  length of a lease in ms
-- ARGV[4..8] prefixes of running:{model}, waiting:{model}, waiting_of:{owner}:{model},
--          worker:{id} and held:{worker}
-- ARGV[9]  ms after which a lease that a living worker forgot is taken from it
-- ARGV[10] crashes alone that make a job a dead letter
--
-- A worker whose presence has expired is dead, and all it held crashed together; what held one
-- step alone is blamed for it. A lease that a living worker forgot counts as a crash too, in company
-- unless the step ran alone: what holds a worker up until its watchdog ends it is forgotten first.
-- After its second crash in company, or its first alone, a step runs alone. Returns job id, step, attempt, owner and what becomes of it for each lease reclaimed:
-- 'again', 'alone' or 'poisoned' (its job is to be ended; told again until that was done).

local RANK = 0  -- before all new work

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local reclaimed = {}

-- The clock was set back: nothing may be leased for longer than a lease is long.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now_ms + 2 * ARGV[3], '+inf')) do
  redis.call('ZADD', KEYS[1], now_ms + ARGV[3], member)
end

local function split(member)
  return string.match(member, '^(.*)|([^|]*)$')
end

local function blame(job, step, company)
  if company == 1 then
    redis.call('HSET', job, step .. ':alone', 1)
    if redis.call('HINCRBY', job, step .. ':crashes', 1) >= tonumber(ARGV[10]) then
      return 'poisoned'
    end
    return 'alone'
  end
  if redis.call('HINCRBY', job, step .. ':crashes_together', 1) > 1 then
    redis.call('HSET', job, step .. ':alone', 1)
    return 'alone'
  end
  return 'again'
end

local function reclaim(member, company)
  local job_id, step = split(member)
  local job = ARGV[1] .. job_id
  local attempt, owner, model, key = unpack(redis.call('HMGET', job,
    step .. ':attempt', step .. ':owner', step .. ':model', 'owner'))
  local fate = blame(job, step, company)
  redis.call('HSET', job, step .. ':state', 'pending')
  redis.call('SREM', ARGV[4] .. model, member)
  if fate == 'poisoned' then
    redis.call('ZADD', KEYS[1], now_ms + ARGV[3], member)  -- until the job is ended
  else
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZADD', ARGV[5] .. model, RANK * 1e13 + now_ms, member)
    if key and key ~= '' then
      redis.call('ZADD', ARGV[6] .. key .. ':' .. model, RANK * 1e13 + now_ms, member)
    end
    redis.call('ZADD', KEYS[2], RANK, member)
  end
  for _, value in ipairs({job_id, step, attempt, owner, fate}) do
    reclaimed[#reclaimed + 1] = value
  end
end

local function is_running(member, worker)
  local job_id, step = split(member)
  local terminal, state, owner = unpack(redis.call('HMGET', ARGV[1] .. job_id, 'terminal',
    step .. ':state', step .. ':owner'))
  return not terminal and state == 'running' and owner == worker
end

local function bury(worker)
  local batch = {}
  for _, member in ipairs(redis.call('SMEMBERS', ARGV[8] .. worker)) do
    if is_running(member, worker) then
      batch[#batch + 1] = member
    end
  end
  for _, member in ipairs(batch) do
    reclaim(member, #batch)
  end
  redis.call('DEL', ARGV[8] .. worker)
end

local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'WITHSCORES',
  'LIMIT', 0, ARGV[2])
for i = 1, #expired, 2 do
  local member, expired_ms = expired[i], tonumber(expired[i + 1])
  local job_id, step = split(member)
  local job = ARGV[1] .. job_id
  local terminal, state, owner, crashes, attempt = unpack(redis.call('HMGET', job, 'terminal',
    step .. ':state', step .. ':owner', step .. ':crashes', step .. ':attempt'))
  if terminal or not state or state == 'done' then
    redis.call('ZREM', KEYS[1], member)
  elseif state == 'running' and redis.call('EXISTS', ARGV[7] .. owner) == 0 then
    bury(owner)
  elseif state == 'running' and now_ms - expired_ms > tonumber(ARGV[9]) then
    redis.call('SREM', ARGV[8] .. owner, member)
    reclaim(member, redis.call('HEXISTS', job, step .. ':alone') == 1 and 1 or 2)
  elseif state == 'pending' and tonumber(crashes or 0) >= tonumber(ARGV[10]) then
    redis.call('ZADD', KEYS[1], now_ms + ARGV[3], member)
    for _, value in ipairs({job_id, step, attempt, owner, 'poisoned'}) do
      reclaimed[#reclaimed + 1] = value
    end
  elseif state == 'pending' then  -- dealt with in this very call
    redis.call('ZREM', KEYS[1], member)
  end
end
return reclaimed

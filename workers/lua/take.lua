-- Takes the lease of one step, if it may run now.
--
-- KEYS[1]  job:{id}             hash
-- KEYS[2]  leases               sorted set
-- KEYS[3]  waiting:{model}      sorted set
-- KEYS[4]  running:{model}      set
-- KEYS[5]  queued               sorted set
-- KEYS[6]  held:{worker}        set
-- KEYS[7]  job:{id}:events      stream
-- KEYS[8]  burden:{model}       hash
-- KEYS[9]  used                 hash
-- ARGV[1]  step
-- ARGV[2]  member of the step in the sorted sets
-- ARGV[3]  owner: the worker's id
-- ARGV[4]  length of the lease in ms
-- ARGV[5]  a name for this very call: repeated after a lost answer, it takes the lease once
-- ARGV[6]  job id
-- ARGV[7]  prefix of waiting_of:{owner}:{model}
-- ARGV[8]  model
-- ARGV[9]  '1' where nothing else runs on this worker, nor will while this step does
--
-- Returns {'taken', attempt, job JSON, ms of waiting, events, assignment JSON or ''}, the job's log
-- so far where the step was begun before; or {why not}: 'gone' (no such job), 'ended' (the job has
-- its terminal event), 'done' (the step has its outcome), 'held' (it runs; the keeper ends the lease
-- of a dead worker), 'early' (steps that it follows have not ended), 'late' (its deadline is over;
-- the keeper ends it), 'alone' (it crashed its worker and may only run alone).

local state, terminal, key, deadline_ms = unpack(redis.call('HMGET', KEYS[1], 'state', 'terminal',
  'owner', 'deadline_ms'))

local function wait_no_longer()
  redis.call('ZREM', KEYS[3], ARGV[2])
  if key and key ~= '' then
    redis.call('ZREM', ARGV[7] .. key .. ':' .. ARGV[8], ARGV[2])
  end
end

if not state or terminal then
  wait_no_longer()
  local tokens = redis.call('HGET', KEYS[8], ARGV[2])
  if tokens then  -- the record expired before anything ended the step
    redis.call('HDEL', KEYS[8], ARGV[2])
    redis.call('HINCRBY', KEYS[8], 'total', -tokens)
  end
  return {state and 'ended' or 'gone'}
end

local step = ARGV[1] .. ':'
local step_state, alone, call, attempt, follows, assignment, added_ms, job = unpack(redis.call(
  'HMGET', KEYS[1], step .. 'state', step .. 'alone', step .. 'call', step .. 'attempt',
  step .. 'follows', step .. 'assignment', step .. 'added_ms', 'job'))
if step_state == 'done' then
  return {'done'}
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- What ran before waits from when it was given back.
local waits_from_ms = tonumber(added_ms)
local score = attempt and redis.call('ZSCORE', KEYS[3], ARGV[2])
if score then
  waits_from_ms = score % 1e13
end

local function taken()
  local before = {}
  if tonumber(attempt) > 1 then
    for _, entry in ipairs(redis.call('XRANGE', KEYS[7], '-', '+')) do
      before[#before + 1] = entry[2][2]
    end
  end
  return {'taken', tonumber(attempt), job, now_ms - waits_from_ms, before, assignment or ''}
end

if call == ARGV[5] then
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

if alone and ARGV[9] ~= '1' then
  return {'alone'}
end

attempt = redis.call('HINCRBY', KEYS[1], step .. 'attempt', 1)
redis.call('HSET', KEYS[1], 'state', 'running', step .. 'state', 'running',
  step .. 'owner', ARGV[3], step .. 'call', ARGV[5], step .. 'taken_ms', now_ms,
  step .. 'written', 0)
redis.call('ZADD', KEYS[2], now_ms + ARGV[4], ARGV[2])
redis.call('SADD', KEYS[4], ARGV[2])
redis.call('SADD', KEYS[6], ARGV[2])
redis.call('ZREM', KEYS[5], ARGV[6])
redis.call('HSET', KEYS[9], ARGV[8], now_ms)
wait_no_longer()
return taken()

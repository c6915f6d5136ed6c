-- Stands before every script; not run by itself.
--
-- KEYS[1]  the prefix of every key. A script is given no other: it builds each from its parts, as
--          `workers/contract/keys.py` does.
-- RANK_SPAN_MS  comes from `keys.py`: scores of waiting steps are this far apart from one rank to
--          the next.

local PREFIX = KEYS[1]
local STARTED_RANK = 0  -- of the next steps of started jobs: they come before all new work

local seconds, microseconds = unpack(redis.call('TIME'))
local now_us = seconds * 1e6 + microseconds
local now_ms = math.floor(now_us / 1000)

-- key('leases'), key('waiting', model), key('job', job_id, 'events')
local function key(name, id, part)
  if part ~= nil then
    return PREFIX .. name .. ':' .. id .. ':' .. part
  end
  if id ~= nil then
    return PREFIX .. name .. ':' .. id
  end
  return PREFIX .. name
end

-- The arguments from `first` on, `width` of them at a time; the first of each is never nil.
local function rows(first, width)
  local at = first - width
  return function()
    at = at + width
    if at <= #ARGV then
      return unpack(ARGV, at, at + width - 1)
    end
  end
end

-- Two steps of a job are two members of the sets that steps are in.
local function member_of(job_id, step)
  return job_id .. '|' .. step
end

local function split_member(member)
  return string.match(member, '^(.*)|([^|]*)$')
end

local function score_of(rank)
  return rank * RANK_SPAN_MS + now_ms
end

-- Since when a step waits, by its score.
local function since_ms(score)
  return score % RANK_SPAN_MS
end

local function numbered(event, seq)
  return '{"seq":' .. seq .. ',' .. string.sub(event, 2)
end

-- A step waits for a worker: in its model's queue, and in its API key's part of it.
local function enqueue_step(member, model, owner, rank)
  redis.call('ZADD', key('waiting', model), score_of(rank), member)
  if owner and owner ~= '' then
    redis.call('ZADD', key('waiting_of', owner, model), score_of(rank), member)
  end
end

local function dequeue_step(member, model, owner)
  redis.call('ZREM', key('waiting', model), member)
  if owner and owner ~= '' then
    redis.call('ZREM', key('waiting_of', owner, model), member)
  end
end

-- Nobody runs a step any longer.
local function release_step(member, model, worker)
  redis.call('ZREM', key('leases'), member)
  redis.call('SREM', key('running', model), member)
  if worker then
    redis.call('SREM', key('held', worker), member)
  end
end

-- A step that has no message in a queue waits, and the keeper is to send one.
local function redeliver_step(member, model, owner)
  enqueue_step(member, model, owner, STARTED_RANK)
  redis.call('ZADD', key('resend'), STARTED_RANK, member)
end

-- A step has a field of its own beside the total, so that its tokens are added once ...
local function add_queued_tokens(member, model, tokens)
  local queued = key('burden', model)
  if redis.call('HSETNX', queued, member, tokens) == 1 then
    redis.call('HINCRBY', queued, 'total', tokens)
  end
end

-- ... and subtracted once.
local function subtract_queued_tokens(member, model)
  local queued = key('burden', model)
  local tokens = redis.call('HGET', queued, member)
  if tokens then
    redis.call('HDEL', queued, member)
    redis.call('HINCRBY', queued, 'total', -tokens)
  end
  if redis.call('HLEN', queued) == 1 then  -- the total alone
    redis.call('DEL', queued)
  end
end

-- What a job keeps here is counted for its API key, from store.lua until the job is forgotten: see
-- `workers/store/stored_bytes.py`. A job that has no entry is not counted.
local function count_bytes(job_id, owner, bytes)
  if not owner or owner == '' or bytes == 0 then
    return
  end
  if redis.call('HEXISTS', key('stored', owner), job_id) == 1 then
    redis.call('HINCRBY', key('stored', owner), job_id, bytes)
    redis.call('HINCRBY', key('stored'), owner, bytes)
  end
end

-- A job's bytes are gone, with the job.
local function uncount_job(job_id, owner)
  local bytes = redis.call('HGET', key('stored', owner), job_id)
  if not bytes then
    return
  end
  redis.call('HDEL', key('stored', owner), job_id)
  if redis.call('EXISTS', key('stored', owner)) == 0 then
    redis.call('HDEL', key('stored'), owner)
  else
    redis.call('HINCRBY', key('stored'), owner, -bytes)
  end
end

-- An entry of a cache is there no longer: its place and its bytes.
local function unlist_entry(name, member)
  local bytes = redis.call('HGET', key('cache', name, 'sizes'), member)
  if bytes then
    redis.call('HDEL', key('cache', name, 'sizes'), member)
    redis.call('HINCRBY', key('cache', name, 'sizes'), 'total', -bytes)
    redis.call('ZREM', key('cache', name), member)
    redis.call('ZREM', key('cache', name, 'expires'), member)
  end
  if redis.call('HLEN', key('cache', name, 'sizes')) == 1 then  -- the total alone
    redis.call('DEL', key('cache', name, 'sizes'))
  end
end

-- What nobody needs once a job has ended: its request, and what its steps were to do and handed on.
local function forget_request(job_id)
  local record = key('job', job_id)
  local owner, ended_job, steps = unpack(redis.call('HMGET', record, 'owner', 'ended_job',
    'steps'))
  local freed = 0
  if ended_job then
    freed = redis.call('HSTRLEN', record, 'job')
    redis.call('HSET', record, 'job', ended_job)
    redis.call('HDEL', record, 'ended_job')
  end
  for step in string.gmatch(steps or '', '%S+') do
    for _, part in ipairs({'signature', 'assignment', 'text'}) do
      freed = freed + redis.call('HSTRLEN', record, step .. ':' .. part)
      redis.call('HDEL', record, step .. ':' .. part)
    end
    local round = string.match(step, '^advance%-(%d+)$')
    if round then
      redis.call('UNLINK', key('handoff', job_id, round))
      unlist_entry('handoffs', '|' .. job_id .. ':' .. round)
    end
  end
  count_bytes(job_id, owner, -freed)
end

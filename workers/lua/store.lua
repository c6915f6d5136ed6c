-- Takes a job in, once: stores it with its first steps and opens its event log.
--
-- Touches
--   job:{id}                    hash, created
--   job:{id}:events             stream, created
--   job:{id}:live               channel
--   jobs:{owner}                sorted set
--   owners                      set
--   stored                      hash
--   stored:{owner}              hash
--   slots                       sorted set
--   queued                      sorted set
--   deadlines                   sorted set
--   idempotency:{scope}         string
--   coalesced:{digest}          string
--   waiting:{model}             sorted set, of the first step's model
--   waiting_of:{owner}:{model}  sorted set
--   running:{model}             set
--   and for each step what add_steps.lua touches; the first step waits for a worker
--
-- Arguments
--   job_id
--   job               JSON
--   ended_job         JSON of what is kept of it once it has ended
--   queued_event      JSON without its number
--   record_ttl_s      how long the record may live while the job does not end
--   keep_s            how long the record lives once the job has ended
--   rank              the queue priority of its messages, 0 the first
--   model             the job's
--   priority          as its caller named it
--   owner             the API key that asks, or ''
--   asynchronous      '1', else ''
--   listed            '1' where it is in the list of its key's jobs, else ''
--   limit             jobs of its kind that may be there at once, '' without a bound
--   slot_ms           after which an open request whose front end died is let go
--   share             steps a key may have waiting in its own list, '' without a bound; a job with
--                     more than is left of it enters one lower
--   stored_limit      bytes that jobs of a key may take here, '' without a bound
--   base_bytes        that a job takes beside its texts
--   deadline_ms       until its deadline, '' without one
--   webhook           address that gets its end, '' for none
--   scope             of its Idempotency-Key, '' without one
--   digest            hash of the body that the Idempotency-Key stands for, '' without one
--   alike             hash of what jobs have alike that several requests may read, '' where this is
--                     its request's own
--   steps             as in add_steps.lua
--
-- Returns {'stored', rank, position, running} of its first step, or why it was not stored:
-- {'same', id} (the Idempotency-Key stands for that job), {'conflict', id} (it stands for another
-- body), {'joined', id} (that job is alike and runs, and has a reader more now), {'full', jobs of
-- its kind, waiting, running}, {'over', bytes of its key's jobs, its own}.

local FIRST_STEP = 23
local COALESCED_TTL_S = 3600  -- a job that runs longer is joined by nobody from then on
local LOWEST_RANK = 9

local job_id, job, ended_job, queued_event, record_ttl_s, keep_s, rank, model, priority, owner, asynchronous,
  listed, limit, slot_ms, share, stored_limit, base_bytes, deadline_ms, webhook, scope, digest,
  alike = unpack(ARGV, 1, FIRST_STEP - 1)
local first_step, first_model = unpack(ARGV, FIRST_STEP, FIRST_STEP + 1)
local record, events = key('job', job_id), key('job', job_id, 'events')
local waiting, running = key('waiting', first_model), key('running', first_model)
asynchronous = asynchronous ~= ''

local function stored(at_rank)
  local position = redis.call('ZRANK', waiting, member_of(job_id, first_step))
  return {'stored', tonumber(at_rank), (position or 0) + 1, redis.call('SCARD', running)}
end

if redis.call('EXISTS', record) == 1 then  -- the answer to this very call was lost
  return stored(redis.call('HGET', record, 'rank'))
end
if digest ~= '' then
  local known, known_digest = split_member(redis.call('GET', key('idempotency', scope)) or '')
  if known and redis.call('EXISTS', key('job', known)) == 1 then
    return {digest == known_digest and 'same' or 'conflict', known}
  end
end
if alike ~= '' then
  local other = redis.call('GET', key('coalesced', alike))
  if other then
    local readers, terminal = unpack(redis.call('HMGET', key('job', other), 'readers', 'terminal'))
    if readers and tonumber(readers) > 0 and not terminal then
      redis.call('HINCRBY', key('job', other), 'readers', 1)
      return {'joined', other}
    end
  end
end

-- Counted, not removed: a full Redis refuses a script at its first write only where that needs
-- memory, and this one must be refused whole.
local present = asynchronous and redis.call('ZCARD', key('queued'))
  or redis.call('ZCOUNT', key('slots'), '(' .. now_ms, '+inf')
if limit ~= '' and present >= tonumber(limit) then
  return {'full', present, redis.call('ZCARD', waiting), redis.call('SCARD', running)}
end

local first_event = numbered(queued_event, 1)
local own_bytes = base_bytes + #job + #ended_job + #first_event
local stored_bytes = tonumber(redis.call('HGET', key('stored'), owner) or 0)
if owner ~= '' and stored_limit ~= '' and stored_bytes + own_bytes > tonumber(stored_limit) then
  return {'over', stored_bytes, own_bytes}
end

rank = tonumber(rank)
if share ~= '' and rank < LOWEST_RANK then
  local own = key('waiting_of', owner, first_model)
  local function waiting_at(own_rank)
    return redis.call('ZCOUNT', own, own_rank * RANK_SPAN_MS, '(' .. (own_rank + 1) * RANK_SPAN_MS)
  end
  local own_steps = 0  -- of this model, which begin at once: several where `n` choices are asked for
  for _, model_of_step, _, _, _, _, follows in rows(FIRST_STEP, ARGUMENTS_OF_STEP) do
    if model_of_step == first_model and follows == '0' then
      own_steps = own_steps + 1
    end
  end
  -- Once some of it went lower the rest follows, so that a key's own order stays.
  if waiting_at(rank) + own_steps > tonumber(share) or waiting_at(rank + 1) > 0 then
    rank = rank + 1
  end
end

redis.call('HSET', record, 'state', 'queued', 'seq', 1, 'created_ms', now_ms, 'job', job,
  'ended_job', ended_job, 'rank', rank, 'keep_s', keep_s, 'model', model, 'priority', priority,
  'owner', owner)
if owner ~= '' then
  redis.call('HSET', key('stored', owner), job_id, 0)
  count_bytes(job_id, owner, own_bytes)
end
redis.call('HSET', record, 'steps', table.concat(add_steps(job_id, owner, rank, FIRST_STEP), ' '))
redis.call('EXPIRE', record, record_ttl_s)
redis.call('XADD', events, '1-0', 'e', first_event)
redis.call('EXPIRE', events, record_ttl_s)

if listed ~= '' or owner ~= '' then
  redis.call('SADD', key('owners'), owner)
end
if listed ~= '' then
  redis.call('ZADD', key('jobs', owner), now_ms, job_id)
end
if asynchronous then
  redis.call('ZADD', key('queued'), now_ms, job_id)
else
  redis.call('ZREMRANGEBYSCORE', key('slots'), '-inf', now_ms)
  redis.call('ZADD', key('slots'), now_ms + slot_ms, job_id)
end
if deadline_ms ~= '' then
  redis.call('HSET', record, 'deadline_ms', now_ms + deadline_ms)
  redis.call('ZADD', key('deadlines'), now_ms + deadline_ms, job_id)
end
if webhook ~= '' then
  redis.call('HSET', record, 'webhook', webhook)
end
if digest ~= '' then
  redis.call('HSET', record, 'scope', scope)
  redis.call('SET', key('idempotency', scope), job_id .. '|' .. digest, 'EX', record_ttl_s)
end
if alike ~= '' then
  redis.call('HSET', record, 'readers', 1)
  redis.call('SET', key('coalesced', alike), job_id, 'EX', COALESCED_TTL_S)
end
redis.call('PUBLISH', key('job', job_id, 'live'), first_event)
return stored(rank)

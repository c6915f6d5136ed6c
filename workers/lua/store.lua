-- Takes a job in, once: stores it with its first steps and opens its event log.
--
-- KEYS[1]  job:{id}             hash, created
-- KEYS[2]  job:{id}:events      stream, created
-- KEYS[3]  jobs:{owner}         sorted set
-- KEYS[4]  models               set
-- KEYS[5]  slots                sorted set
-- KEYS[6]  queued               sorted set
-- KEYS[7]  deadlines            sorted set
-- KEYS[8]  idempotency:{scope}  string
-- KEYS[9]  due                  sorted set
-- KEYS[10] running:{model}      set, of the first step's model
-- KEYS[11] rounds               sorted set
-- KEYS[12..] for each step, as in steps.lua; the first step waits for a worker
-- ARGV[1]  the job's live channel
-- ARGV[2]  the Queued event, JSON without its number
-- ARGV[3]  seconds the record may live while the job does not end
-- ARGV[4]  job id
-- ARGV[5]  job JSON
-- ARGV[6]  rank: the queue priority of its messages, 0 the first
-- ARGV[7]  seconds the record lives once the job has ended
-- ARGV[8]  the job's model
-- ARGV[9]  the job's priority, as its caller named it
-- ARGV[10] '1' where the job is asynchronous, else ''
-- ARGV[11] the API key that asks, or ''
-- ARGV[12] jobs of its kind that may be there at once, '' without a bound
-- ARGV[13] ms after which an open request whose front end died is let go
-- ARGV[14] steps a key may have waiting in its own list; more enter one lower; '' without a bound
-- ARGV[15] ms until its deadline, '' without one
-- ARGV[16] where its end is told, '' nowhere
-- ARGV[17] hash of the body that an Idempotency-Key stands for, '' without a key
-- ARGV[18] prefix of a job's record
-- ARGV[19..] for each step, as in steps.lua
--
-- Returns {'stored', rank, position, running} of its first step, or why it was not stored:
-- {'same', id} (the key stands for that job),
-- {'conflict', id} (it stands for another body), {'full', jobs of its kind, waiting, running}.

local FIRST_KEY, FIRST_ARG = 12, 19

local function stored(rank)
  local place = redis.call('ZRANK', KEYS[FIRST_KEY], ARGV[4] .. '|' .. ARGV[FIRST_ARG])
  return {'stored', tonumber(rank), (place or 0) + 1, redis.call('SCARD', KEYS[10])}
end

if redis.call('EXISTS', KEYS[1]) == 1 then  -- the answer to this very call was lost
  return stored(redis.call('HGET', KEYS[1], 'rank'))
end
if ARGV[17] ~= '' then
  local known, digest = string.match(redis.call('GET', KEYS[8]) or '', '^(.*)|(%x+)$')
  if known and redis.call('EXISTS', ARGV[18] .. known) == 1 then
    return {digest == ARGV[17] and 'same' or 'conflict', known}
  end
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local asynchronous = ARGV[10] ~= ''
local kind = asynchronous and KEYS[6] or KEYS[5]
-- Counted, not removed: a full Redis refuses a script at its first write only where that needs
-- memory, and this one must be refused whole.
local there = asynchronous and redis.call('ZCARD', kind)
  or redis.call('ZCOUNT', kind, '(' .. now_ms, '+inf')
if ARGV[12] ~= '' and there >= tonumber(ARGV[12]) then
  return {'full', there, redis.call('ZCARD', KEYS[FIRST_KEY]), redis.call('SCARD', KEYS[10])}
end

local rank = tonumber(ARGV[6])
if ARGV[14] ~= '' then
  local own = redis.call('ZCOUNT', KEYS[FIRST_KEY + 1], rank * RANK_SPAN, '(' .. (rank + 1) * RANK_SPAN)
  local lower = redis.call('ZCOUNT', KEYS[FIRST_KEY + 1], (rank + 1) * RANK_SPAN,
    '(' .. (rank + 2) * RANK_SPAN)
  -- Once some of it went lower the rest follows, so that a key's own order stays.
  if rank < 9 and (own >= tonumber(ARGV[14]) or lower > 0) then
    rank = rank + 1
  end
end

redis.call('HSET', KEYS[1], 'state', 'queued', 'seq', 1, 'created_ms', now_ms,
  'job', ARGV[5], 'rank', rank, 'keep_s', ARGV[7], 'model', ARGV[8], 'priority', ARGV[9],
  'owner', ARGV[11])
local names = add_steps(KEYS[1], ARGV[4], ARGV[11], KEYS[4], KEYS[9], KEYS[11], rank, now_ms,
  FIRST_KEY, FIRST_ARG)
redis.call('HSET', KEYS[1], 'steps', table.concat(names, ' '))
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('XADD', KEYS[2], '1-0', 'e', '{"seq":1,' .. string.sub(ARGV[2], 2))
redis.call('EXPIRE', KEYS[2], ARGV[3])

if asynchronous then
  redis.call('ZADD', KEYS[3], now_ms, ARGV[4])
  redis.call('ZADD', KEYS[6], now_ms, ARGV[4])
else
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now_ms)
  redis.call('ZADD', KEYS[5], now_ms + ARGV[13], ARGV[4])
end
if ARGV[15] ~= '' then
  redis.call('HSET', KEYS[1], 'deadline_ms', now_ms + ARGV[15])
  redis.call('ZADD', KEYS[7], now_ms + ARGV[15], ARGV[4])
end
if ARGV[16] ~= '' then
  redis.call('HSET', KEYS[1], 'webhook', ARGV[16])
end
if ARGV[17] ~= '' then
  redis.call('SET', KEYS[8], ARGV[4] .. '|' .. ARGV[17], 'EX', ARGV[3])
end
redis.call('PUBLISH', ARGV[1], '{"seq":1,' .. string.sub(ARGV[2], 2))
return stored(rank)

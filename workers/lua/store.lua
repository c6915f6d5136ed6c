-- Stores an accepted job with its first steps, once, and opens its event log.
--
-- KEYS[1]  job:{id}             hash, created
-- KEYS[2]  job:{id}:events      stream, created
-- KEYS[3]  jobs:{owner}         sorted set
-- KEYS[4..] waiting:{model}     sorted set, one for each step
-- ARGV[1]  the job's live channel
-- ARGV[2]  the Queued event, JSON without its number
-- ARGV[3]  seconds the record may live while the job does not end
-- ARGV[4]  job id
-- ARGV[5]  job JSON
-- ARGV[6]  rank: the queue priority of its messages, 0 the first
-- ARGV[7]  seconds the record lives once the job has ended
-- ARGV[8]  the job's model
-- ARGV[9]  the job's priority, as its caller named it
-- ARGV[10] '1' where the job is listed, else ''
-- ARGV[11..] for each step: name, model, signature JSON
--
-- Returns 1, or 0 when the job exists already.

if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local event = '{"seq":1,' .. string.sub(ARGV[2], 2)
local names = {}

redis.call('HSET', KEYS[1], 'state', 'queued', 'seq', 1, 'created_ms', now_ms,
  'job', ARGV[5], 'rank', ARGV[6], 'keep_s', ARGV[7], 'model', ARGV[8], 'priority', ARGV[9])
if ARGV[10] ~= '' then
  redis.call('ZADD', KEYS[3], now_ms, ARGV[4])
end
for i = 4, #KEYS do
  local name, model, signature = unpack(ARGV, 3 * i - 1, 3 * i + 1)
  names[#names + 1] = name
  redis.call('HSET', KEYS[1], name .. ':state', 'pending', name .. ':model', model,
    name .. ':signature', signature)
  -- Ranks are further apart than any two times: 10^13 ms are 316 years.
  redis.call('ZADD', KEYS[i], ARGV[6] * 1e13 + now_ms, ARGV[4] .. '|' .. name)
end
redis.call('HSET', KEYS[1], 'steps', table.concat(names, ' '))
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('XADD', KEYS[2], '1-0', 'e', event)
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('PUBLISH', ARGV[1], event)
return 1

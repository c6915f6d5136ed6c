-- Takes expired leases away from their owners, whose later writes are then refused.
--
-- KEYS[1]  leases               sorted set; its members name the jobs
-- ARGV[1]  prefix of a job's record
-- ARGV[2]  leases to reclaim at most
-- ARGV[3]  ms after which a lease is reclaimed again, if nobody dealt with it
-- ARGV[4]  prefix of running:{model}
--
-- Touches job:{id} and running:{model} of each expired lease. Returns step, job id, attempt, owner for each lease
-- reclaimed; leases of ended jobs are only removed.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, ARGV[2])
local reclaimed = {}
for _, member in ipairs(expired) do
  local job_id, step = string.match(member, '^(.*)|([^|]*)$')
  local job = ARGV[1] .. job_id
  local terminal, state, attempt, owner, model = unpack(redis.call('HMGET', job, 'terminal',
    step .. ':state', step .. ':attempt', step .. ':owner', step .. ':model'))
  if model then
    redis.call('SREM', ARGV[4] .. model, member)
  end
  if terminal or not state or state == 'done' then
    redis.call('ZREM', KEYS[1], member)
  else
    redis.call('HSET', job, step .. ':state', 'pending')
    redis.call('ZADD', KEYS[1], now_ms + ARGV[3], member)
    for _, value in ipairs({job_id, step, attempt or '0', owner or ''}) do
      reclaimed[#reclaimed + 1] = value
    end
  end
end
return reclaimed

-- Deletes a job that has ended.
--
-- Touches
--   job:{id}  hash
--   deleted   sorted set
--   and what delete_job.lua touches
--
-- Arguments
--   job_id
--   keep_s  for which workers may still learn of it
--
-- Returns 1, or 0 where there is no such job, or it has not ended.

local job_id, keep_s = unpack(ARGV)

if not redis.call('HGET', key('job', job_id), 'terminal') then
  return 0
end
delete_job(job_id)
redis.call('ZADD', key('deleted'), now_ms, job_id)
redis.call('ZREMRANGEBYSCORE', key('deleted'), '-inf', now_ms - keep_s * 1000)
redis.call('EXPIRE', key('deleted'), keep_s)
return 1

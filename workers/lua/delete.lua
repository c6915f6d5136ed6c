-- Deletes a job that has ended.
--
-- Touches
--   job:{id}  hash
--   and what delete_job.lua touches
--
-- Arguments
--   job_id
--
-- Returns 1, or 0 where there is no such job, or it has not ended.

local job_id = unpack(ARGV)

if not redis.call('HGET', key('job', job_id), 'terminal') then
  return 0
end
delete_job(job_id)
return 1

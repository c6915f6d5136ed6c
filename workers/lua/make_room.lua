-- Deletes results of one API key, the oldest first, until its jobs take no more than they may.
--
-- Touches
--   jobs:{owner}    sorted set
--   stored          hash
--   job:{id}        hash
--   dead            sorted set
--   and for each job that is deleted what delete_job.lua touches
--
-- Arguments
--   owner
--   limit   bytes that its jobs may take
--   offset  jobs that earlier calls looked at and left
--   most    jobs looked at
--
-- Returns {bytes that its jobs take now, jobs deleted, jobs looked at and left}. What has not ended
-- is left, and so are dead letters.

local owner, limit, offset, most = unpack(ARGV)
limit = tonumber(limit)

local function taken()
  return tonumber(redis.call('HGET', key('stored'), owner) or 0)
end

local deleted, left = 0, 0
local ids = redis.call('ZRANGE', key('jobs', owner), offset, offset + most - 1)
for _, job_id in ipairs(ids) do
  if taken() <= limit then
    break
  end
  if redis.call('HGET', key('job', job_id), 'terminal')
    and not redis.call('ZSCORE', key('dead'), job_id) then
    delete_job(job_id)
    deleted = deleted + 1
  else
    left = left + 1
  end
end
return {taken(), deleted, left}

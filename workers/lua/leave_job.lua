-- Counts one reader of a job less, where several requests read it together.
--
-- Touches
--   job:{id}  hash
--
-- Arguments
--   job_id
--
-- Returns how many are left. Nobody joins a job that none reads.

local job_id = unpack(ARGV)

if redis.call('HEXISTS', key('job', job_id), 'readers') == 0 then
  return 0
end
return redis.call('HINCRBY', key('job', job_id), 'readers', -1)

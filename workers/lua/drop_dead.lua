-- Counts a job as a dead letter no longer; its request goes, as that of any job that has ended.
--
-- Touches
--   dead                   sorted set
--   job:{id}               hash
--   handoff:{job}:{round}  string
--   cache:{name}           sorted set
--   cache:{name}:sizes     hash
--   cache:{name}:expires   sorted set
--   stored                 hash
--   stored:{owner}         hash
--
-- Arguments
--   job_id
--
-- Returns 1, or 0 where it was none.

local job_id = unpack(ARGV)

if redis.call('ZREM', key('dead'), job_id) == 0 then
  return 0
end
if redis.call('HGET', key('job', job_id), 'terminal') then
  forget_request(job_id)
end
return 1

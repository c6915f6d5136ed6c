-- Forgets jobs of one API key whose time is over, in its list of jobs and in the count of its bytes.
--
-- Touches
--   owners                 set
--   jobs:{owner}           sorted set
--   job:{id}               hash
--   stored                 hash
--   stored:{owner}         hash
--   dead                   sorted set
--   handoff:{job}:{round}  string
--   cache:{name}           sorted set
--   cache:{name}:sizes     hash
--   cache:{name}:expires   sorted set
--
-- Arguments
--   owner
--   jobs_cursor    of the part of its list that is looked at, 0 the first
--   stored_cursor  of the part of the count, 0 the first
--   most           jobs looked at, about
--
-- Returns both cursors of what follows; 0 after the last part. A worker of the version before ends
-- a job and leaves its request: that goes here.

local owner, jobs_cursor, stored_cursor, most = unpack(ARGV)

-- Returns whether the job is still kept.
local function look_at(job_id)
  local state, terminal, ended_job = unpack(redis.call('HMGET', key('job', job_id), 'state',
    'terminal', 'ended_job'))
  if terminal and ended_job and not redis.call('ZSCORE', key('dead'), job_id) then
    forget_request(job_id)
  end
  return state
end

local jobs = redis.call('ZSCAN', key('jobs', owner), jobs_cursor, 'COUNT', most)
for i = 1, #jobs[2], 2 do
  if not look_at(jobs[2][i]) then
    redis.call('ZREM', key('jobs', owner), jobs[2][i])
  end
end
local stored = redis.call('HSCAN', key('stored', owner), stored_cursor, 'COUNT', most)
for i = 1, #stored[2], 2 do
  if not look_at(stored[2][i]) then
    uncount_job(stored[2][i], owner)
  end
end

-- Whatever went wrong before: the sum is the sum.
if redis.call('HLEN', key('stored', owner)) <= tonumber(most) then
  local sum = 0
  for _, bytes in ipairs(redis.call('HVALS', key('stored', owner))) do
    sum = sum + bytes
  end
  if sum == 0 then
    redis.call('HDEL', key('stored'), owner)
  else
    redis.call('HSET', key('stored'), owner, string.format('%.0f', sum))
  end
end
if redis.call('EXISTS', key('jobs', owner)) == 0 and redis.call('EXISTS', key('stored', owner)) == 0
then
  redis.call('SREM', key('owners'), owner)
end
return {jobs[1], stored[1]}

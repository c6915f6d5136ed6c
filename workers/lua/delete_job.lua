-- Stands before the scripts that delete jobs; not run by itself.
--
-- Touches, for each job:
--   job:{id}               hash
--   job:{id}:events        stream
--   job:{id}:webhook       list
--   jobs:{owner}           sorted set
--   handoff:{job}:{round}  string
--   cache:{name}           sorted set
--   cache:{name}:sizes     hash
--   cache:{name}:expires   sorted set
--   idempotency:{scope}    string
--   webhooks               sorted set
--   dead                   sorted set
--   stored                 hash
--   stored:{owner}         hash

-- Deletes a job that has ended, with everything that is kept of it.
local function delete_job(job_id)
  local owner, scope = unpack(redis.call('HMGET', key('job', job_id), 'owner', 'scope'))
  forget_request(job_id)
  if scope and split_member(redis.call('GET', key('idempotency', scope)) or '') == job_id then
    redis.call('DEL', key('idempotency', scope))
  end
  redis.call('UNLINK', key('job', job_id), key('job', job_id, 'events'),
    key('job', job_id, 'webhook'))
  for _, name in ipairs({'webhooks', 'dead'}) do
    redis.call('ZREM', key(name), job_id)
  end
  redis.call('ZREM', key('jobs', owner), job_id)
  uncount_job(job_id, owner)
end

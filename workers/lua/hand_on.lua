-- Keeps what one round of a job hands to the next, while the job has not ended.
--
-- Touches
--   job:{id}               hash
--   handoff:{job}:{round}  string
--
-- Arguments
--   job_id
--   round  number of the one that hands on
--   state  JSON
--   ttl_s  how long it can be read
--
-- Returns 1, or 0 where the job has ended or is gone: its end forgets what was handed on.

local job_id, round, state, ttl_s = unpack(ARGV)

local seq, terminal = unpack(redis.call('HMGET', key('job', job_id), 'seq', 'terminal'))
if not seq or terminal then
  return 0
end
redis.call('SET', key('handoff', job_id, round), state, 'EX', ttl_s)
return 1

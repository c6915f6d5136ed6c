-- Keeps requests counted as open while the front end that holds them lives.
--
-- Touches
--   slots   sorted set
--
-- Arguments
--   slot_ms  after which a request that nobody holds any longer is let go
--   job_id   of each request
--
-- Returns 1. A job that has ended, or was let go, is not counted again.

local FIRST_JOB = 2

local slot_ms = unpack(ARGV, 1, 1)

for job_id in rows(FIRST_JOB, 1) do
  redis.call('ZADD', key('slots'), 'XX', now_ms + slot_ms, job_id)
end
return 1

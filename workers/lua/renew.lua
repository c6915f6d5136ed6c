-- Renews the leases that one worker holds.
--
-- Touches
--   leases    sorted set
--   job:{id}  hash, of each lease
--
-- Arguments
--   lease_ms               length of a lease
--   job_id, step, attempt  of each lease
--
-- Returns for each lease 1 (renewed) or 0 (lost: the job ended, or a newer attempt runs).

local FIRST_LEASE, ARGUMENTS_OF_LEASE = 2, 3

local lease_ms = unpack(ARGV, 1, 1)

local renewed = {}
for job_id, step, attempt in rows(FIRST_LEASE, ARGUMENTS_OF_LEASE) do
  local terminal, state, current = unpack(redis.call('HMGET', key('job', job_id), 'terminal',
    step .. ':state', step .. ':attempt'))
  local holds = not terminal and state == 'running' and current == attempt
  if holds then
    redis.call('ZADD', key('leases'), now_ms + lease_ms, member_of(job_id, step))
  end
  renewed[#renewed + 1] = holds and 1 or 0
end
return renewed

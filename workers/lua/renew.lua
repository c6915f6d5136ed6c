-- Renews the leases that one worker holds.
--
-- KEYS[1]     leases            sorted set
-- KEYS[2..]   job:{id}          hash, one for each lease
-- ARGV[1]     length of the lease in ms
-- ARGV[2..]   step, member, attempt for each lease
--
-- Returns for each lease 1 (renewed) or 0 (lost: the job ended, or a newer attempt runs).

local time = redis.call('TIME')
local expires_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local renewed = {}
for i = 2, #KEYS do
  local step, member, attempt = unpack(ARGV, 3 * i - 4, 3 * i - 2)
  local terminal, state, current = unpack(redis.call(
    'HMGET', KEYS[i], 'terminal', step .. ':state', step .. ':attempt'))
  if not terminal and state == 'running' and current == attempt then
    redis.call('ZADD', KEYS[1], expires_ms, member)
    renewed[i - 1] = 1
  else
    renewed[i - 1] = 0
  end
end
return renewed

-- A worker's process has ended, which somebody saw: what it held need not wait for its leases.
--
-- Touches
--   worker:{id}    string
--   workers        set
--   held:{worker}  set
--   job:{id}       hash, of each step that it held
--   leases         sorted set
--
-- Arguments
--   worker
--
-- The keeper takes expired leases of workers without a presence away, as ever. Returns how many
-- expire by this.

local worker = unpack(ARGV)
local expired = 0
redis.call('DEL', key('worker', worker))
redis.call('SREM', key('workers'), worker)
for _, member in ipairs(redis.call('SMEMBERS', key('held', worker))) do
  local job_id, step = split_member(member)
  local state, runs_on = unpack(redis.call('HMGET', key('job', job_id), step .. ':state',
    step .. ':owner'))
  if state == 'running' and runs_on == worker then
    expired = expired + redis.call('ZADD', key('leases'), 'XX', 'CH', now_ms, member)
  end
end
return expired

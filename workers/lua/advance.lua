-- Ends the step that decided what comes next, and adds what it decided on.
--
-- KEYS[1]  job:{id}          hash
-- KEYS[2]  leases            sorted set
-- KEYS[3]  running:{model}   set, of the step that decided
-- KEYS[4]  held:{worker}     set
-- KEYS[5]  models            set
-- KEYS[6]  due               sorted set
-- KEYS[7]  rounds            sorted set
-- KEYS[8..] for each new step, as in steps.lua
-- ARGV[1]  the step that decided
-- ARGV[2]  its member in the sets
-- ARGV[3]  its attempt
-- ARGV[4]  job id
-- ARGV[5..] for each new step, as in steps.lua
--
-- Returns 1, also when this very attempt had done so before; 0 when it may not: the job has ended,
-- or another attempt decides.

local step = ARGV[1] .. ':'
local terminal, state, attempt, owner = unpack(redis.call('HMGET', KEYS[1], 'terminal',
  step .. 'state', step .. 'attempt', 'owner'))
if terminal or attempt ~= ARGV[3] then
  return 0
end
if state == 'done' then
  return 1
end
if state ~= 'running' then
  return 0
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
-- Rank 0: the next steps of started jobs come before all new work.
local names = add_steps(KEYS[1], ARGV[4], owner or '', KEYS[5], KEYS[6], KEYS[7], 0,
  now_ms, 8, 5)
redis.call('HSET', KEYS[1], step .. 'state', 'done',
  'steps', redis.call('HGET', KEYS[1], 'steps') .. ' ' .. table.concat(names, ' '))
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('SREM', KEYS[3], ARGV[2])
redis.call('SREM', KEYS[4], ARGV[2])
return 1

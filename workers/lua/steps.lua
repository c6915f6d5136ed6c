-- Shared by scripts that add steps to a job; not run by itself.
--
-- A step is given as three keys, waiting:{model}, waiting_of:{owner}:{model} and burden:{model}, and
-- twelve arguments: name, model, what it does in the job, signature JSON, assignment JSON ('' for
-- what the job's caller sent), the step that follows it and its like ('' for none), how many steps
-- it follows itself (0 for none), ms until it is to run, the tokens it is expected to take, and of a
-- step that follows others how many of them must have said something before the rest is given up,
-- after how many ms behind that, and after how many ms in any case (0: never). What follows others
-- waits for a worker once they have ended (append.lua); what is to run later waits in `due` until
-- the keeper wakes it (wake.lua).

local STEP_KEYS, STEP_ARGS = 3, 12
local RANK_SPAN = 1e13  -- ms: further apart than any two times, it is 316 years

-- Writes the steps from this key and this argument on into the record; returns their names.
local function add_steps(job, job_id, owner, models, due, rounds, rank, now_ms, key, arg)
  local names = {}
  while arg <= #ARGV do
    local name, model, part, signature, assignment, follower, follows, delay_ms, tokens, quorum,
      grace_ms, timeout_ms = unpack(ARGV, arg, arg + STEP_ARGS - 1)
    local prefix = name .. ':'
    redis.call('HSET', job, prefix .. 'state', 'pending', prefix .. 'model', model,
      prefix .. 'part', part, prefix .. 'signature', signature, prefix .. 'added_ms', now_ms)
    if assignment ~= '' then
      redis.call('HSET', job, prefix .. 'assignment', assignment)
    end
    if follower ~= '' then
      redis.call('HSET', job, prefix .. 'then', follower)
    end
    local member, score = job_id .. '|' .. name, rank * RANK_SPAN + now_ms
    if follows ~= '0' then
      redis.call('HSET', job, prefix .. 'follows', follows)
      if timeout_ms ~= '0' then
        redis.call('HSET', job, prefix .. 'quorum', quorum, prefix .. 'grace_ms', grace_ms,
          prefix .. 'timeout_ms', timeout_ms)
        redis.call('ZADD', rounds, now_ms + timeout_ms, member)
      end
    elseif delay_ms ~= '0' then
      redis.call('ZADD', due, now_ms + delay_ms, member)
    else
      redis.call('ZADD', KEYS[key], score, member)
      if owner ~= '' then
        redis.call('ZADD', KEYS[key + 1], score, member)
      end
    end
    if tokens ~= '0' and redis.call('HSETNX', KEYS[key + 2], member, tokens) == 1 then
      redis.call('HINCRBY', KEYS[key + 2], 'total', tokens)
    end
    redis.call('SADD', models, model)
    names[#names + 1] = name
    key, arg = key + STEP_KEYS, arg + STEP_ARGS
  end
  return names
end

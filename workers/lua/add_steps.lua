-- Stands before the scripts that add steps to a job; not run by itself.
--
-- Touches, for each step:
--   job:{id}                   hash
--   models                     set
--   waiting:{model}            sorted set
--   waiting_of:{owner}:{model} sorted set
--   burden:{model}             hash
--   due                        sorted set
--   rounds                     sorted set
--   stored                     hash
--   stored:{owner}             hash
--
-- A step is given as these arguments:
--   name        unique in its job
--   model       the one that runs it
--   part        what the model does in the job
--   signature   JSON
--   assignment  JSON, '' for what the job's caller sent
--   follower    the step that follows it and its like, '' for none
--   follows     how many steps it follows itself, 0 for none
--   delay_ms    until it is to run
--   tokens      it is expected to take
--   quorum      of the steps it follows: so many must have said something ...
--   grace_ms    ... for the rest to have this long left
--   timeout_ms  after which the rest is given up in any case, 0 for never
--
-- What follows others waits for a worker once they have ended (append.lua). What is to run later is
-- in `due` until the keeper wakes it (wake.lua).

local ARGUMENTS_OF_STEP = 12

-- Writes the steps from this argument on into the record; returns their names.
local function add_steps(job_id, owner, rank, first)
  local job, names = key('job', job_id), {}
  for name, model, part, signature, assignment, follower, follows, delay_ms, tokens, quorum,
    grace_ms, timeout_ms in rows(first, ARGUMENTS_OF_STEP) do
    local field, member = name .. ':', member_of(job_id, name)
    redis.call('HSET', job, field .. 'state', 'pending', field .. 'model', model,
      field .. 'part', part, field .. 'signature', signature, field .. 'added_ms', now_ms)
    count_bytes(job_id, owner, #signature + #assignment)
    if assignment ~= '' then
      redis.call('HSET', job, field .. 'assignment', assignment)
    end
    if follower ~= '' then
      redis.call('HSET', job, field .. 'then', follower)
    end
    if follows ~= '0' then
      redis.call('HSET', job, field .. 'follows', follows)
      if timeout_ms ~= '0' then
        redis.call('HSET', job, field .. 'quorum', quorum, field .. 'grace_ms', grace_ms,
          field .. 'timeout_ms', timeout_ms)
        redis.call('ZADD', key('rounds'), now_ms + timeout_ms, member)
      end
    elseif delay_ms ~= '0' then
      redis.call('ZADD', key('due'), now_ms + delay_ms, member)
    else
      enqueue_step(member, model, owner, rank)
    end
    if tokens ~= '0' then
      add_queued_tokens(member, model, tokens)
    end
    redis.call('SADD', key('models'), model)
    names[#names + 1] = name
  end
  return names
end

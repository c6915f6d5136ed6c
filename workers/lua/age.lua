-- Moves messages that have waited long one list up, so that each runs in bounded time.
--
-- Touches
--   waiting:{model}             sorted set
--   waiting_of:{owner}:{model}  sorted set
--   job:{id}                    hash, read
--   the model's queue as kombu keeps it: a list for each rank, the oldest message at the right end
--
-- Arguments
--   model
--   aging_ms  after which a message moves
--   most      messages moved at most
--   list      name of each list, from rank 0 on
--
-- Rank 0 is for the next steps of started jobs; nothing ages into it. A message whose step does
-- not wait any longer moves too: a worker drops it the sooner. Returns how many moved.

local FIRST_LIST = 4

local model, aging_ms, most = unpack(ARGV, 1, FIRST_LIST - 1)
local lists = {}
for list in rows(FIRST_LIST, 1) do
  lists[#lists + 1] = list
end
local waiting = key('waiting', model)
aging_ms, most = tonumber(aging_ms), tonumber(most)

local moved = 0
for rank = 2, #lists - 1 do
  local from, to = lists[rank + 1], lists[rank]  -- Lua counts from 1, ranks from 0
  while moved < most do
    local message = redis.call('LINDEX', from, -1)
    local member = message and cjson.decode(message).headers.id
    local score = member and tonumber(redis.call('ZSCORE', waiting, member) or '0')
    -- What a re-delivery put on another list than its score says keeps to its score.
    if not message or now_ms - since_ms(score) < aging_ms then
      break
    end
    redis.call('RPOPLPUSH', from, to)
    moved = moved + 1
    if score > 0 then
      local job_id = split_member(member)
      enqueue_step(member, model, redis.call('HGET', key('job', job_id), 'owner'), rank - 1)
    end
  end
end
return moved

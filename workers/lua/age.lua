-- Moves messages that have waited long one list up, so that each runs in bounded time.
--
-- KEYS[1]      waiting:{model}   sorted set
-- KEYS[2..11]  the model's queue as kombu keeps it: one list for each rank from 0 to 9, the oldest
--              message at the right end
-- ARGV[1]      ms after which a message moves
-- ARGV[2]      messages moved at most
-- ARGV[3]      prefix of a job's record
-- ARGV[4]      prefix of waiting_of:{owner}:{model}
-- ARGV[5]      model
--
-- Rank 0 is for the next steps of started jobs; nothing ages into it. A message whose step does
-- not wait any longer moves too: a worker drops it the sooner. Returns how many moved.

local RANK_SPAN = 1e13

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local moved = 0
for rank = 2, 9 do
  local from, to = KEYS[rank + 2], KEYS[rank + 1]
  while moved < tonumber(ARGV[2]) do
    local message = redis.call('LINDEX', from, -1)
    local member = message and cjson.decode(message).headers.id
    local score = member and tonumber(redis.call('ZSCORE', KEYS[1], member) or '0')
    -- What a re-delivery put on another list than its score says keeps to its score.
    if not message or now_ms - score % RANK_SPAN < tonumber(ARGV[1]) then
      break
    end
    redis.call('RPOPLPUSH', from, to)
    moved = moved + 1
    if score > 0 then
      score = (rank - 1) * RANK_SPAN + now_ms
      redis.call('ZADD', KEYS[1], score, member)
      local owner = redis.call('HGET', ARGV[3] .. string.match(member, '^(.*)|'), 'owner')
      if owner and owner ~= '' then
        redis.call('ZADD', ARGV[4] .. owner .. ':' .. ARGV[5], score, member)
      end
    end
  end
end
return moved

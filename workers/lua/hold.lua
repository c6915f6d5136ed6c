-- Keeps requests counted as open while the front end that holds them lives.
--
-- KEYS[1]    slots   sorted set
-- ARGV[1]    ms after which a request that nobody holds any longer is let go
-- ARGV[2..]  job ids
--
-- Returns 1. A job that has ended, or was let go, is not counted again.

local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', until_ms, ARGV[i])
end
return 1

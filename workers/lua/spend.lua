-- Takes one request out of a key's allowance, or says how long until there is one again.
--
-- KEYS[1]   rate:{key}   string: the moment, in microseconds of Redis TIME, when the allowance is
--                        whole again (the generic cell rate algorithm: one number is the bucket)
-- ARGV[1]   requests that a full allowance holds
-- ARGV[2]   microseconds in which one request grows back
--
-- Returns 0 when the request was taken, else the milliseconds to wait.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1e6 + tonumber(time[2])
local grows_back = tonumber(ARGV[2])
local whole = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')) + grows_back
local wait = whole - tonumber(ARGV[1]) * grows_back - now
if wait > 0 then
  return math.ceil(wait / 1000)
end
-- tostring() would round a number of 16 digits.
local left_ms = math.ceil((whole - now) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', left_ms)
return 0

-- Takes one request out of an API key's allowance, or says how long until there is one again.
--
-- Touches
--   rate:{id}    string: the moment, in microseconds of Redis TIME, when the allowance is whole
--                again (the generic cell rate algorithm: one number is the bucket)
--
-- Arguments
--   id             of the API key
--   allowance      requests that a full allowance holds
--   grows_back_us  microseconds in which one request grows back
--
-- Returns 0 when the request was taken, else the milliseconds to wait.

local id, allowance, grows_back_us = unpack(ARGV)
local rate = key('rate', id)

local whole_us = math.max(now_us, tonumber(redis.call('GET', rate) or '0')) + grows_back_us
local wait_us = whole_us - allowance * grows_back_us - now_us
if wait_us > 0 then
  return math.ceil(wait_us / 1000)
end
-- tostring() would round a number of 16 digits.
local left_ms = math.ceil((whole_us - now_us) / 1000)
redis.call('SET', rate, string.format('%.0f', whole_us), 'PX', left_ms)
return 0

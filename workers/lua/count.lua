-- Adds what a process has counted since it last told to the sums over all processes.
--
-- Touches
--   metrics                   hash: series -> sum, for ever
--   metrics:{process}:number  string: the last report of a process
--
-- Arguments
--   process   the id of the process
--   number    of its report, from 1: repeated after a lost answer, it is added once
--   known_ms  how long the number is kept: longer than any repetition takes to come
--   most      series that there may be
-- and for each series
--   series    its name and labels
--   growth    what is added
--
-- Returns how many series were left out, since there are too many.

local process, number, known_ms, most = unpack(ARGV, 1, 4)
local sums, told = key('metrics'), key('metrics', process, 'number')

if tonumber(redis.call('GET', told) or 0) >= tonumber(number) then
  return 0
end
redis.call('SET', told, number, 'PX', known_ms)

local left_out = 0
local room = tonumber(most) - redis.call('HLEN', sums)
for series, growth in rows(5, 2) do
  local is_new = redis.call('HEXISTS', sums, series) == 0
  if is_new and room <= 0 then
    left_out = left_out + 1
  else
    redis.call('HINCRBYFLOAT', sums, series, growth)
    room = room - (is_new and 1 or 0)
  end
end
return left_out

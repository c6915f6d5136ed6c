-- Gives an order for a model, and drops the load request that it answers.
--
-- Touches
--   orders        hash
--   wishes        hash: the load requests
--   demands       sorted set
--   loaded_since  hash
--
-- Arguments
--   model
--   order         JSON, '' where the load request needs none
--   load_request  as it was read, '' without one
--
-- Returns 1. A load request that came meanwhile stays.

local model, order, load_request = unpack(ARGV)

if load_request ~= '' and redis.call('HGET', key('wishes'), model) == load_request then
  redis.call('HDEL', key('wishes'), model)
end
if order ~= '' then
  redis.call('HSET', key('orders'), model, order)
  redis.call('ZREM', key('demands'), model)
  redis.call('HDEL', key('loaded_since'), model)
end
return 1

-- Gives an order for a model, and drops the wish that it answers.
--
-- KEYS[1]  orders        hash
-- KEYS[2]  wishes        hash
-- KEYS[3]  demands       sorted set
-- KEYS[4]  loaded_since  hash
-- ARGV[1]  model
-- ARGV[2]  order JSON, '' where the wish needs none
-- ARGV[3]  the wish as it was read, '' without one
--
-- Returns 1. A wish that came meanwhile stays.

if ARGV[3] ~= '' and redis.call('HGET', KEYS[2], ARGV[1]) == ARGV[3] then
  redis.call('HDEL', KEYS[2], ARGV[1])
end
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('HDEL', KEYS[4], ARGV[1])
end
return 1

-- Reads an entry of a cache, and notes that it was used.
--
-- Touches
--   cache:{name}             sorted set
--   cache:{name}:sizes       hash
--   cache:{name}:expires     sorted set
--   cache:{name}:generation  string
--   cached:{name}:{member}   string; of handoffs handoff:{job}:{round}
--
-- Arguments
--   name        of the cache
--   keys_begin  what the keys of its values begin with
--   model       that the entry depends on, '' for none
--   id          of the entry
--
-- Returns {value, milliseconds that it is kept still, generation}; a nil value where there is none.

local name, keys_begin, model, id = unpack(ARGV)
local member = model .. '|' .. id
local place = value_of(keys_begin, member)

local value = redis.call('GET', place)
if value then
  redis.call('ZADD', key('cache', name), 'XX', now_ms, member)
else
  unlist_entry(name, member)
end
local generation = redis.call('GET', key('cache', name, 'generation'))
return {value, redis.call('PTTL', place), tonumber(generation or 0)}

-- Says what a cache takes.
--
-- Touches
--   cache:{name}           sorted set
--   cache:{name}:sizes     hash
--   cache:{name}:expires   sorted set
--   cached:{name}:{member} string; of handoffs handoff:{job}:{round}
--
-- Arguments
--   name        of the cache
--   keys_begin  what the keys of its values begin with
--
-- Returns {entries, bytes}.

local name, keys_begin = unpack(ARGV)

drop_expired(name, keys_begin)
return {redis.call('ZCARD', key('cache', name)), bytes_of_cache(name)}

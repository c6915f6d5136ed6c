-- Drops all entries of a cache, or those that depend on one model.
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
--   which       'all', or 'model'
--   model
--
-- Returns how many there were. Processes that keep some of it see by the generation that they are
-- to forget that.

local name, keys_begin, which, model = unpack(ARGV)

local dropped = 0
for _, member in ipairs(redis.call('ZRANGE', key('cache', name), 0, -1)) do
  if which == 'all' or split_member(member) == model then
    drop_entry(name, keys_begin, member)
    dropped = dropped + 1
  end
end
redis.call('INCR', key('cache', name, 'generation'))
return dropped

-- Keeps an entry of a cache; those that were used longest ago make room for it.
--
-- Touches
--   cache:{name}           sorted set
--   cache:{name}:sizes     hash
--   cache:{name}:expires   sorted set
--   cached:{name}:{member} string; of handoffs handoff:{job}:{round}
--   job:{id}               hash
--
-- Arguments
--   name          of the cache
--   keys_begin    what the keys of its values begin with
--   model         that the entry depends on, '' for none
--   id            of the entry
--   value
--   ttl_ms        how long it is kept
--   most_bytes    that the cache may take
--   most_entries  that it may have
--   job_id        of the job with which it goes, '' for none
--
-- Returns how many entries made room, or -1 where it is not kept: it is larger than the cache, or
-- its job has ended or is gone.

local BYTES_OF_ENTRY = 300  -- what Redis takes for an entry beside its texts, about

local name, keys_begin, model, id, value, ttl_ms, most_bytes, most_entries, job_id = unpack(ARGV)
local member = model .. '|' .. id
local bytes = #value + 4 * #member + BYTES_OF_ENTRY

if bytes > tonumber(most_bytes) then
  return -1
end
if job_id ~= '' then
  local seq, terminal = unpack(redis.call('HMGET', key('job', job_id), 'seq', 'terminal'))
  if not seq or terminal then
    return -1
  end
end
drop_expired(name, keys_begin)
unlist_entry(name, member)
local evicted = 0
while bytes_of_cache(name) + bytes > tonumber(most_bytes)
  or redis.call('ZCARD', key('cache', name)) >= tonumber(most_entries) do
  local oldest = unpack(redis.call('ZRANGE', key('cache', name), 0, 0))
  if not oldest then
    redis.call('UNLINK', key('cache', name, 'sizes'), key('cache', name, 'expires'))
    break
  end
  drop_entry(name, keys_begin, oldest)
  evicted = evicted + 1
end
redis.call('SET', value_of(keys_begin, member), value, 'PX', ttl_ms)
redis.call('ZADD', key('cache', name), now_ms, member)
redis.call('ZADD', key('cache', name, 'expires'), now_ms + ttl_ms, member)
redis.call('HSET', key('cache', name, 'sizes'), member, bytes)
redis.call('HINCRBY', key('cache', name, 'sizes'), 'total', bytes)
return evicted

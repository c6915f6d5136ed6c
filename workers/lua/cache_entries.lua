-- Stands before the scripts of caches; not run by itself.
--
-- Touches
--   cache:{name}           sorted set
--   cache:{name}:sizes     hash
--   cache:{name}:expires   sorted set
--   cached:{name}:{member} string; of handoffs handoff:{job}:{round}

-- Where an entry's value is: by its model and its id, or by its id where it depends on no model.
local function value_of(keys_begin, member)
  return key(keys_begin, (string.gsub(member, '^|', '')))
end

local function drop_entry(name, keys_begin, member)
  redis.call('UNLINK', value_of(keys_begin, member))
  unlist_entry(name, member)
end

-- Redis forgets values by itself, and what is listed of them goes here.
local function drop_expired(name, keys_begin)
  local MOST_AT_ONCE = 100
  local expired = redis.call('ZRANGEBYSCORE', key('cache', name, 'expires'), '-inf', now_ms,
    'LIMIT', 0, MOST_AT_ONCE)
  for _, member in ipairs(expired) do
    drop_entry(name, keys_begin, member)
  end
end

local function bytes_of_cache(name)
  return tonumber(redis.call('HGET', key('cache', name, 'sizes'), 'total') or 0)
end

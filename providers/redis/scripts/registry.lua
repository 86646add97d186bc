-- needs: keys

-- Settings, apps, symbols, routing, signals, throttles, statistics, work lists.

function calls.get_settings() return redis.call('HGETALL', key.settings()) end
-- entries (flat), only if there are none
function calls.set_settings(a)
  if not (a[2] and redis.call('EXISTS', key.settings()) == 1) then hset_all(key.settings(), a[1]) end
  return redis.call('HGETALL', key.settings())
end

-- app: false, or a flat list of "" (the active version) and "v:<version>" (its state)
function calls.get_app(a)
  local stored = redis.call('HGETALL', key.app(a[1]))
  return #stored > 0 and stored
end
-- app, version, state
function calls.deploy(a)
  local name = key.app(a[1])
  if redis.call('HGET', name, '') ~= a[2] then redis.call('HSET', name, 'v:' .. a[2], a[3]) end
  redis.call('HSETNX', name, '', '')
  return redis.call('HGETALL', name)
end
function checks.activate(a)
  if redis.call('HEXISTS', key.app(a[1]), 'v:' .. a[2]) == 0 then
    return {'missing', 'version \'' .. a[2] .. '\' of app \'' .. a[1] .. '\' was never deployed; call set_app first'}
  end
end
function calls.activate(a)
  local name = key.app(a[1])
  if redis.call('HGET', name, '') ~= a[2] then redis.call('HSET', name, '', a[2], 'v:' .. a[2], a[3]) end
  return 1
end

-- The id of this database, made when it is first opened.
function calls.database(a)
  redis.call('SETNX', key.database(), a[1])
  return redis.call('GET', key.database())
end

-- Symbols. target: its map (flat)
function calls.get_symbols(a)
  local maps = {}
  for i, target in ipairs(a[1]) do maps[i] = redis.call('HGETALL', key.symbols(target)) end
  return maps
end
-- target, symbols (flat)
function calls.add_symbols(a)
  redis.call('SADD', key.symbol_targets(), a[1])
  hset_all(key.symbols(a[1]), a[2])
  return 1
end
function calls.get_all_symbols()
  local found = {}
  for _, target in ipairs(redis.call('SMEMBERS', key.symbol_targets())) do
    found[#found + 1] = target
    found[#found + 1] = redis.call('HGETALL', key.symbols(target))
  end
  return found
end
-- target: its range "<lower>:<size>" and map, or where the next range begins
function calls.get_range(a)
  local range = redis.call('HGET', key.symbol_ranges(), a[1])
  if range then return {range, redis.call('HGETALL', key.symbols(a[1]))} end
  return {false, redis.call('GET', key.symbol_cursor()) or '0'}
end
-- target, lower, size, seeds (flat): 1, or 0 if the next range begins elsewhere by now or the target has one
function calls.reserve_range(a)
  local cursor = tonumber(redis.call('GET', key.symbol_cursor()) or 0)
  if cursor ~= a[2] or redis.call('HEXISTS', key.symbol_ranges(), a[1]) == 1 then return 0 end
  redis.call('HSET', key.symbol_ranges(), a[1], text(a[2]) .. ':' .. text(a[3]))
  redis.call('SET', key.symbol_cursor(), text(a[2] + a[3]))
  return calls.add_symbols({a[1], a[4]})
end
function calls.get_symbol_values() return redis.call('HGETALL', key.symbol_values()) end
function calls.add_symbol_values(a)
  hset_all(key.symbol_values(), a[1])
  return 1
end

-- Routing. kind, version, entries (flat), entries to remove
function calls.merge_routing(a)
  hset_all(key.routing(a[1], a[2]), a[3])
  for _, name in ipairs(a[4]) do redis.call('HDEL', key.routing(a[1], a[2]), name) end
  return 1
end
function calls.get_routing(a) return redis.call('HGETALL', key.routing(a[1], a[2])) end
function calls.get_route(a) return redis.call('HGET', key.routing(a[1], a[2]), a[3]) end

-- Hook signals. target, job, milliseconds
function calls.set_signal(a)
  redis.call('SET', key.signal(a[1]), a[2], 'NX', 'PX', text(a[3]))
  return redis.call('GET', key.signal(a[1])) == a[2] and 1 or 0
end
function calls.get_signal(a) return redis.call('GET', key.signal(a[1])) end
function calls.delete_signal(a) return redis.call('DEL', key.signal(a[1])) end

-- Throttles. topic, rate, whether the others go
function calls.set_throttle(a)
  if a[3] then redis.call('DEL', key.throttles()) end
  redis.call('HSET', key.throttles(), a[1], a[2])
  return 1
end
function calls.get_throttles() return redis.call('HGETALL', key.throttles()) end

-- Statistics. bucket, counters (flat), lists, id, samples (flat)
function calls.set_stats(a)
  for i = 1, #a[2], 2 do redis.call('HINCRBYFLOAT', key.counters(a[1]), a[2][i], a[2][i + 1]) end
  for _, name in ipairs(a[3]) do redis.call('RPUSH', key.list(name), a[4]) end
  for i = 1, #a[5], 2 do redis.call('ZADD', key.samples(a[5][i]), a[5][i + 1], next_id()) end
  return false
end
function calls.get_counters(a)
  local found = {}
  for i, name in ipairs(a[1]) do found[i] = redis.call('HGETALL', key.counters(name)) end
  return found
end
function calls.get_lists(a)
  local found = {}
  for i, name in ipairs(a[1]) do found[i] = redis.call('LRANGE', key.list(name), a[2], a[3]) end
  return found
end
-- The middle sample, or two, of each.
function calls.get_medians(a)
  local found = {}
  for i, name in ipairs(a[1]) do
    local count, values = redis.call('ZCARD', key.samples(name)), {}
    local middle = redis.call('ZRANGE', key.samples(name), math.floor((count - 1) / 2), math.floor(count / 2), 'WITHSCORES')
    for n = 2, #middle, 2 do values[#values + 1] = middle[n] end
    found[i] = count > 0 and values or {}
  end
  return found
end

-- Work lists.
function calls.add_work(a)
  for _, item in ipairs(a[1]) do redis.call('ZADD', key.work(), 'NX', next_id(), item) end
  return 1
end
function calls.first_work() return redis.call('ZRANGE', key.work(), 0, 0)[1] or false end
function calls.move_first(a) return redis.call('LMOVE', key.list(a[1]), key.list(a[2]), 'LEFT', 'RIGHT') end
-- item, list, processed list, bucket to drop or nil
function calls.end_work(a)
  if redis.call('ZREM', key.work(), a[1]) == 0 then return 0 end
  if a[4] then
    redis.call('DEL', key.list(a[3]), key.counters(a[4]))
    return 1
  end
  while redis.call('LMOVE', key.list(a[3]), key.list(a[2]), 'RIGHT', 'LEFT') do end
  return 1
end

-- needs: jobs

local timers = {}

function timers.arm(id, at, payload)
  redis.call('HSET', key.timer_data(), id, cmsgpack.pack({at, redis.call('INCR', key.fences()), payload}))
  redis.call('ZREM', key.claimed_timers(), id)
  redis.call('ZADD', key.timers(), at, id)
  redis.call('ZADD', key.timer_ids(), 0, id)
end

-- id, time, payload
function calls.arm_timer(a)
  timers.arm(a[1], a[2], a[3])
  return false
end

function calls.cancel_timer(a) return jobs.drop_timer(a[1]) end

local function first_of(name, now_ms, limit)
  local found = {}
  local due = redis.call('ZRANGEBYSCORE', name, '-inf', now_ms, 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #due, 2 do found[#found + 1] = {tonumber(due[i + 1]), due[i]} end
  return found
end

-- now, limit, lease: a flat list of id, time, payload, fence; and when the next unclaimed one is due, or -1
function calls.claim_timers(a)
  local limit = math.max(a[2], 0)
  local due, claimed = first_of(key.timers(), a[1], limit), {}
  for _, lapsed in ipairs(first_of(key.claimed_timers(), a[1], limit)) do due[#due + 1] = lapsed end
  table.sort(due, function(x, y) return x[1] < y[1] or (x[1] == y[1] and x[2] < y[2]) end)
  for i = 1, math.min(#due, limit) do
    local id = due[i][2]
    local data = cmsgpack.unpack(redis.call('HGET', key.timer_data(), id))
    local fence = redis.call('INCR', key.fences())
    redis.call('HSET', key.timer_data(), id, cmsgpack.pack({data[1], fence, data[3]}))
    redis.call('ZREM', key.timers(), id)
    redis.call('ZADD', key.claimed_timers(), a[1] + a[3], id)
    for _, value in ipairs({id, text(data[1]), data[3], fence}) do claimed[#claimed + 1] = value end
  end
  return {claimed, redis.call('ZRANGE', key.timers(), 0, 0, 'WITHSCORES')[2] or '-1'}
end

-- id, fence
function calls.ack_timer(a)
  local data = redis.call('HGET', key.timer_data(), a[1])
  if not data or cmsgpack.unpack(data)[2] ~= a[2] then return 0 end
  return jobs.drop_timer(a[1])
end

-- after, limit: a flat list of id, time, payload
function calls.list_timers(a)
  local found = {}
  for _, id in ipairs(walk(key.timer_ids(), a[1], a[2])) do
    local data = cmsgpack.unpack(redis.call('HGET', key.timer_data(), id))
    for _, value in ipairs({id, text(data[1]), data[3]}) do found[#found + 1] = value end
  end
  return found
end

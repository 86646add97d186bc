-- needs: keys

-- Messages of a stream: a log (a Redis stream of the texts, by id, so in order of publication) and where each one is:
--   ready    scored by -priority, so ordered by priority and then id
--   delayed  scored by when it becomes visible
--   leased   scored by when the lease lapses
--   dead     dead letters, all scored 0
-- meta holds [priority, attempt, delivered at, group, consumer] of those that were ever delivered or have a priority,
-- and, under "z<id>", [dead at, reason].
local messages = {}
local hints = {}

local function wake(stream) hints[stream] = true end

-- Tells blocked consumers of other processes, once per script.
local function send_hints()
  if not next(hints) then return end
  local list = {ARGV[2] or ''}
  for stream in pairs(hints) do list[#list + 1] = stream end
  redis.call('PUBLISH', key.wake(), cmsgpack.pack(list))
end
at_end[#at_end + 1] = send_hints

local NOTHING = {0, 0, 0, false, false}

local function get_meta(stream, id)
  local packed = redis.call('HGET', key.meta(stream), id)
  return packed and cmsgpack.unpack(packed) or NOTHING
end

local function set_meta(stream, id, priority, attempt, delivered, group, consumer)
  redis.call('HSET', key.meta(stream), id, cmsgpack.pack({priority, attempt, delivered, group, consumer}))
end

local function get_text(stream, id)
  local entry = redis.call('XRANGE', key.log(stream), id .. '-0', id .. '-0')[1]
  return entry and entry[2][2]
end

function messages.publish(stream, data, visible_at, priority, lease)
  local id = next_id()
  redis.call('SADD', key.streams(), stream)
  redis.call('XADD', key.log(stream), id .. '-0', 'd', data)
  if lease then
    set_meta(stream, id, priority, 1, now, lease[1], lease[2])
    redis.call('ZADD', key.leased(stream), now + lease[3], id)
    if lease[3] < lease[4] then wake(stream) end
    return id
  end
  if priority ~= 0 then set_meta(stream, id, priority, 0, 0, false, false) end
  if visible_at and visible_at > now then
    redis.call('ZADD', key.delayed(stream), visible_at, id)
  else
    redis.call('ZADD', key.ready(stream), -priority, id)
  end
  wake(stream)
  return id
end

-- What has become visible and what was not acked in time queues up by priority and age again.
local function promote(stream)
  local function queue(id) redis.call('ZADD', key.ready(stream), -get_meta(stream, id)[1], id) end
  each_due(key.delayed(stream), now, queue)
  each_due(key.leased(stream), now, queue)
end

local function detach(stream, id)
  return redis.call('ZREM', key.ready(stream), id) + redis.call('ZREM', key.delayed(stream), id)
    + redis.call('ZREM', key.leased(stream), id)
end

local function forget(stream, id)
  redis.call('HDEL', key.meta(stream), id, 'z' .. id)
  redis.call('XDEL', key.log(stream), id .. '-0')
  if redis.call('XLEN', key.log(stream)) == 0 then redis.call('DEL', key.log(stream)) end
end

-- When the next message can be delivered: 0 now, -1 there is none.
function messages.next_due(stream)
  if redis.call('EXISTS', key.ready(stream)) == 1 then return 0 end
  local soonest = -1
  for _, name in ipairs({key.delayed(stream), key.leased(stream)}) do
    local at = tonumber(redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')[2])
    if at and at <= now then return 0 end
    if at and (soonest < 0 or at < soonest) then soonest = at end
  end
  return soonest
end

-- Takes up to `limit` messages: a flat list of id, text, attempt, priority.
function messages.claim(stream, group, consumer, limit, lease_ms, auto_ack, foreseen_ms)
  promote(stream)
  local popped = redis.call('ZPOPMIN', key.ready(stream), limit)
  local taken = {}
  for i = 1, #popped, 2 do
    local id = popped[i]
    local meta, data = get_meta(stream, id), get_text(stream, id)
    local attempt = meta[2] + 1
    for _, value in ipairs({id, data, attempt, meta[1]}) do taken[#taken + 1] = value end
    if auto_ack then
      forget(stream, id)
    else
      set_meta(stream, id, meta[1], attempt, now, group, consumer)
      redis.call('ZADD', key.leased(stream), now + lease_ms, id)
      if lease_ms < foreseen_ms then wake(stream) end
    end
  end
  if redis.call('SISMEMBER', key.streams(), stream) == 1 then redis.call('SADD', key.groups(stream), group) end
  return taken
end

local function fits(meta, consumer, attempt, group)
  return (not consumer or meta[5] == consumer) and (not attempt or meta[2] == attempt)
    and (not group or meta[4] == group)
end

-- Removes one message if its last delivery is the one named (nil: any). 1 if it was there.
function messages.dispose(stream, id, consumer, attempt, group, dead_too)
  if (consumer or attempt or group) and not fits(get_meta(stream, id), consumer, attempt, group) then return 0 end
  local found = detach(stream, id)
  if found == 0 and dead_too then found = redis.call('ZREM', key.dead(stream), id) end
  if found > 0 then forget(stream, id) end
  return found
end

function messages.bury(stream, id, reason)
  if detach(stream, id) == 0 then return 0 end
  redis.call('ZADD', key.dead(stream), 0, id)
  redis.call('HSET', key.meta(stream), 'z' .. id, cmsgpack.pack({now, reason}))
  return 1
end

-- Gives a lease back, ready at once or at a time.
local function give_back(stream, id, meta, at)
  detach(stream, id)
  set_meta(stream, id, meta[1], meta[2], meta[3], false, false)
  if at > now then
    redis.call('ZADD', key.delayed(stream), at, id)
  else
    redis.call('ZADD', key.ready(stream), -meta[1], id)
  end
  wake(stream)
end

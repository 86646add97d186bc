-- needs: messages

function calls.create_stream(a)
  redis.call('SADD', key.streams(), a[1])
  return 1
end

function calls.delete_stream(a)
  local stream = a[1]
  redis.call('DEL', key.log(stream), key.ready(stream), key.delayed(stream), key.leased(stream), key.meta(stream),
    key.dead(stream), key.groups(stream))
  return redis.call('SREM', key.streams(), stream)
end

function calls.create_group(a)
  redis.call('SADD', key.streams(), a[1])
  return redis.call('SADD', key.groups(a[1]), a[2])
end

function calls.delete_group(a)
  local stream, group = a[1], a[2]
  if redis.call('SREM', key.groups(stream), group) == 0 then return 0 end
  promote(stream)
  for _, id in ipairs(redis.call('ZRANGE', key.leased(stream), 0, -1)) do
    local meta = get_meta(stream, id)
    if meta[4] == group then give_back(stream, id, meta, 0) end
  end
  return 1
end

-- stream, texts, visible at, priority, lease
function calls.publish(a)
  local ids = {}
  for i, data in ipairs(a[2]) do ids[i] = messages.publish(a[1], data, a[3], a[4], a[5]) end
  return ids
end

-- stream, group, consumer, limit, lease, auto ack, foreseen. When nothing is there: when something will be.
function calls.claim(a)
  local taken = messages.claim(unpack(a, 1, 7))
  return {taken, #taken > 0 and 0 or text(messages.next_due(a[1]))}
end

-- For each of the streams, see messages.next_due.
function calls.outlook(a)
  local result = {}
  for i, stream in ipairs(a[1]) do result[i] = text(messages.next_due(stream)) end
  return result
end

-- stream, id, text, priority, attempt: puts a message back that was disposed of on delivery to a caller that is gone
function calls.put_back(a)
  if redis.call('EXISTS', key.log(a[1])) == 1 then
    -- A log only grows at its end: what is put back is published anew.
    local id = messages.publish(a[1], a[3], nil, a[4], nil)
    set_meta(a[1], id, a[4], a[5], 0, false, false)
    return id
  end
  redis.call('SADD', key.streams(), a[1])
  redis.call('XADD', key.log(a[1]), a[2] .. '-0', 'd', a[3])
  set_meta(a[1], a[2], a[4], a[5], 0, false, false)
  redis.call('ZADD', key.ready(a[1]), -a[4], a[2])
  wake(a[1])
  return a[2]
end

-- stream, ids, consumer, attempt, group, dead too
function calls.dispose(a)
  local count = 0
  for _, id in ipairs(a[2]) do count = count + messages.dispose(a[1], id, a[3], a[4], a[5], a[6]) end
  return count
end

-- stream, ids, reason
function calls.bury(a)
  local count = 0
  for _, id in ipairs(a[2]) do count = count + messages.bury(a[1], id, a[3]) end
  return count
end

-- stream, ids, consumer, attempt, group, delay
function calls.release(a)
  local stream, count = a[1], 0
  for _, id in ipairs(a[2]) do
    local held, meta = redis.call('ZSCORE', key.leased(stream), id), get_meta(stream, id)
    if held and tonumber(held) > now and fits(meta, a[3], a[4], a[5]) then
      give_back(stream, id, meta, a[6] > 0 and now + a[6] or 0)
      count = count + 1
    end
  end
  return count
end

-- stream, id, group, consumer, attempt, lease, foreseen
function calls.extend(a)
  local stream, id = a[1], a[2]
  local meta = get_meta(stream, id)
  if not fits(meta, a[4], a[5], a[3]) or redis.call('ZSCORE', key.dead(stream), id) then return 0 end
  detach(stream, id)
  set_meta(stream, id, meta[1], meta[2], now, meta[4], meta[5])
  redis.call('ZADD', key.leased(stream), now + a[6], id)
  if a[6] < a[7] then wake(stream) end
  return 1
end

-- Ids, in order, of what a group was delivered before a time and nobody has disposed of.
local function idle(stream, group, before, wanted)
  local found = {}
  local ids = wanted or redis.call('HKEYS', key.meta(stream))
  for _, id in ipairs(ids) do
    if id:sub(1, 1) ~= 'z' then
      local meta = get_meta(stream, id)
      if meta[4] == group and meta[3] <= before and not redis.call('ZSCORE', key.dead(stream), id) then
        found[#found + 1] = id
      end
    end
  end
  table.sort(found)
  return found
end

-- stream, group, consumer, min idle, ids, delay, max retries, limit, lease, foreseen: a flat list as of claim
function calls.retry(a)
  local stream, group, taken = a[1], a[2], {}
  local found = idle(stream, group, now - a[4], a[5])
  for i = 1, math.min(#found, a[8] or #found) do
    local id = found[i]
    local meta = get_meta(stream, id)
    if a[7] and meta[2] > a[7] then
      messages.bury(stream, id, 'max retries')
    elseif a[6] > 0 then
      give_back(stream, id, meta, now + a[6])
    else
      detach(stream, id)
      set_meta(stream, id, meta[1], meta[2] + 1, now, group, a[3])
      redis.call('ZADD', key.leased(stream), now + a[9], id)
      if a[9] < a[10] then wake(stream) end
      for _, value in ipairs({id, get_text(stream, id), meta[2] + 1, meta[1]}) do taken[#taken + 1] = value end
    end
  end
  return taken
end

-- stream, after, limit: a flat list of id, text, attempt, reason, dead at
function calls.dead_letters(a)
  local stream, letters = a[1], {}
  for _, id in ipairs(walk(key.dead(stream), a[2], a[3])) do
    local burial = cmsgpack.unpack(redis.call('HGET', key.meta(stream), 'z' .. id))
    local values = {id, get_text(stream, id), get_meta(stream, id)[2], burial[2], text(burial[1])}
    for _, value in ipairs(values) do letters[#letters + 1] = value end
  end
  return letters
end

-- ready, delayed, in flight, dead
function calls.stream_stats(a)
  local stream, from = a[1], '(' .. text(now)
  local delayed = redis.call('ZCOUNT', key.delayed(stream), from, '+inf')
  local leased = redis.call('ZCOUNT', key.leased(stream), from, '+inf')
  local live = redis.call('ZCARD', key.ready(stream)) + redis.call('ZCARD', key.delayed(stream))
    + redis.call('ZCARD', key.leased(stream))
  return {live - delayed - leased, delayed, leased, redis.call('ZCARD', key.dead(stream))}
end

function calls.depths(a)
  local result = {}
  for i, stream in ipairs(a[1]) do
    result[i] = redis.call('ZCARD', key.ready(stream)) + redis.call('ZCARD', key.delayed(stream))
      + redis.call('ZCARD', key.leased(stream))
  end
  return result
end

-- stream, max length, max age
function calls.trim(a)
  local stream, removed, after = a[1], 0, '-'
  local before = a[3] and now - a[3]
  local excess = a[2] and calls.depths({{stream}})[1] - math.max(a[2], 0) or 0
  while true do
    local entries = redis.call('XRANGE', key.log(stream), after, '+', 'COUNT', 100)
    for _, entry in ipairs(entries) do
      local id = entry[1]:sub(1, 16)
      local too_old = before and tonumber(id) / 1000 < before
      if not too_old and removed >= excess then return removed end
      local leased = redis.call('ZSCORE', key.leased(stream), id)
      if not (leased and tonumber(leased) > now) then removed = removed + messages.dispose(stream, id) end
      after = '(' .. entry[1]
    end
    if #entries < 100 then return removed end
  end
end

function calls.list_streams() return redis.call('SMEMBERS', key.streams()) end

-- stream, after, limit: a flat list of id, text, attempt
function calls.list_messages(a)
  local stream, found, from = a[1], {}, '(' .. a[2] .. '-0'
  while #found < a[3] * 3 do
    local entries = redis.call('XRANGE', key.log(stream), from, '+', 'COUNT', a[3])
    for _, entry in ipairs(entries) do
      local id = entry[1]:sub(1, 16)
      if #found < a[3] * 3 and not redis.call('ZSCORE', key.dead(stream), id) then
        for _, value in ipairs({id, entry[2][2], get_meta(stream, id)[2]}) do found[#found + 1] = value end
      end
      from = '(' .. entry[1]
    end
    if #entries < a[3] then break end
  end
  return found
end

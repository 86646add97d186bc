-- needs: keys

local outbox = {}

function outbox.add(stream, message, visible_at, priority)
  local id = next_id()
  redis.call('XADD', key.outbox(), id .. '-0', 's', stream, 'm', message, 'v', visible_at and text(visible_at) or '',
    'p', priority)
  redis.call('ZADD', key.outbox_due(), 0, id)
  return redis.call('GET', key.database()) .. '-' .. id
end

-- a list of [stream, message, visible at, priority]
function calls.outbox_add(a)
  local ids = {}
  for i, one in ipairs(a[1]) do ids[i] = outbox.add(one[1], one[2], one[3], one[4]) end
  return ids
end

-- id, stream, message, visible at, priority
local function show(entry, found)
  local fields = entry[2]
  local id = redis.call('GET', key.database()) .. '-' .. entry[1]:sub(1, 16)
  for _, value in ipairs({id, fields[2], fields[4], fields[6], fields[8]}) do found[#found + 1] = value end
end

-- limit, lease, now: a flat list, see show
function calls.outbox_claim(a)
  local found = {}
  -- A claim that lapsed is as old as the entry again.
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key.outbox_due(), '(0', a[3])) do
    redis.call('ZADD', key.outbox_due(), 0, id)
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key.outbox_due(), 0, 0, 'LIMIT', 0, a[1])) do
    redis.call('ZADD', key.outbox_due(), a[3] + a[2], id)
    show(redis.call('XRANGE', key.outbox(), id .. '-0', id .. '-0')[1], found)
  end
  return found
end

function calls.outbox_done(a)
  local count = 0
  for _, id in ipairs(a[1]) do
    redis.call('ZREM', key.outbox_due(), id)
    count = count + redis.call('XDEL', key.outbox(), id .. '-0')
  end
  return count
end

-- after, limit: a flat list, see show
function calls.list_outbox(a)
  local found = {}
  local entries = redis.call('XRANGE', key.outbox(), '(' .. a[1] .. '-0', '+', 'COUNT', a[2])
  for _, entry in ipairs(entries) do show(entry, found) end
  return found
end

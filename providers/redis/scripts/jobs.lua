-- needs: keys documents

local jobs = {}

local function is_past(at) return at and tonumber(at) <= now end

-- Status (false: no such job), revision and next event id; what has expired is as if it were not there.
function jobs.read(id)
  local v = redis.call('HMGET', key.job(id), 's', 'r', 'n', 'x')
  if is_past(v[4]) then return {status = false, revision = 0, next = 1, expired = true} end
  return {status = v[1], revision = tonumber(v[2] or 0), next = tonumber(v[3] or 1)}
end

function jobs.expired(id) return is_past(redis.call('HGET', key.job(id), 'x')) end

function jobs.exists(id)
  local v = redis.call('HMGET', key.job(id), 's', 'x')
  return v[1] and not is_past(v[2])
end

-- Before anything is written for an id: removes what an expired job left.
function jobs.ready(id)
  if jobs.expired(id) then jobs.purge(id) end
end

function jobs.create(id, status, revision)
  redis.call('HSET', key.job(id), 's', status, 'r', revision)
  redis.call('ZADD', key.jobs(), 0, id)
end

local function drop_pointer(pointer)
  redis.call('HDEL', key.pointers(), pointer)
  redis.call('ZREM', key.pointer_ids(), pointer)
end

local function drop_hook(seq)
  local data = redis.call('HGET', key.hook_data(), seq)
  if data then redis.call('HDEL', key.hook_ids(), cmsgpack.unpack(data)[1]) end
  redis.call('HDEL', key.hook_data(), seq)
  redis.call('ZREM', key.hooks(), seq)
  redis.call('ZREM', key.claimed_hooks(), seq)
end

function jobs.drop_timer(id)
  redis.call('ZREM', key.timers(), id)
  redis.call('ZREM', key.claimed_timers(), id)
  redis.call('ZREM', key.timer_ids(), id)
  return redis.call('HDEL', key.timer_data(), id)
end

-- Moves a pointer; the job hash of the run notes who names it.
function jobs.point(pointer, run)
  local old = redis.call('HGET', key.pointers(), pointer)
  if old then redis.call('HDEL', key.job(old), 'p:' .. pointer) end
  redis.call('HSET', key.pointers(), pointer, run)
  redis.call('ZADD', key.pointer_ids(), 0, pointer)
  redis.call('HSET', key.job(run), 'p:' .. pointer, '')
end

-- Removes whatever is kept for an id.
function jobs.purge(id)
  for _, field in ipairs(redis.call('HKEYS', key.job(id))) do
    local kind = field:sub(1, 2)
    if kind == 'p:' then drop_pointer(field:sub(3)) elseif kind == 'h:' then drop_hook(field:sub(3)) end
  end
  local run = redis.call('HGET', key.pointers(), id)
  if run then
    redis.call('HDEL', key.job(run), 'p:' .. id)
    drop_pointer(id)
  end
  redis.call('DEL', key.job(id), key.history(id), key.dependents(id))
  redis.call('ZREM', key.jobs(), id)
  redis.call('ZREM', key.expiring(), id)
  jobs.drop_timer(id)
  search.delete(id)
end

-- Appends batches, a flat list of first event id, next event id, data.
function jobs.append(id, batches)
  for i = 1, #batches, 3 do
    redis.call('XADD', key.history(id), text(batches[i]) .. '-' .. text(batches[i + 1]), 'd', batches[i + 2])
  end
  if #batches > 0 then redis.call('HSET', key.job(id), 'n', text(batches[#batches - 1])) end
end

-- Removes some of what has expired; true if there may be more.
function jobs.sweep(limit)
  local due = redis.call('ZRANGEBYSCORE', key.expiring(), '-inf', now, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do jobs.purge(id) end
  return #due == limit
end

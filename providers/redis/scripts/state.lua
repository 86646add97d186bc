-- needs: jobs sums

local function missing(id) return {'missing', 'job \'' .. id .. '\' does not exist'} end

local function must_exist(a)
  if not jobs.exists(a[1]) then return missing(a[1]) end
end

-- job, status
function calls.set_state_nx(a)
  if jobs.exists(a[1]) then return 0 end
  jobs.ready(a[1])
  jobs.create(a[1], a[2], 1)
  return 1
end

-- job, delta
function checks.set_status(a)
  return must_exist(a) or sums.try(key.job(a[1]), 's', a[2])
end
function calls.set_status(a) return sums.add(key.job(a[1]), 's', a[2]) end

function checks.get_status(a) return must_exist(a) end
function calls.get_status(a) return redis.call('HGET', key.job(a[1]), 's') end

-- job, fields (flat), status or nil
function checks.set_fields(a)
  local problem = must_exist(a)
  if not problem and a[3] then sums.replaced(key.job(a[1]), 's', a[3]) end
  return problem
end
function calls.set_fields(a)
  for i = 1, #a[2], 2 do redis.call('HSET', key.job(a[1]), 'f:' .. a[2][i], a[2][i + 1]) end
  if a[3] then redis.call('HSET', key.job(a[1]), 's', a[3]) end
  return a[1]
end

-- job, fields: false for a missing job, else the status and the values
function calls.get_fields(a)
  if not jobs.exists(a[1]) then return false end
  local values = {redis.call('HGET', key.job(a[1]), 's')}
  for i, field in ipairs(a[2]) do values[i + 1] = redis.call('HGET', key.job(a[1]), 'f:' .. field) end
  return values
end

-- job: false for a missing job, else the status and all fields (flat)
function calls.get_all_fields(a)
  if not jobs.exists(a[1]) then return false end
  local stored, found = redis.call('HGETALL', key.job(a[1])), {':', redis.call('HGET', key.job(a[1]), 's')}
  for i = 1, #stored, 2 do
    if stored[i]:sub(1, 2) == 'f:' then
      found[#found + 1] = stored[i]:sub(3)
      found[#found + 1] = stored[i + 1]
    end
  end
  return found
end

-- job, activity, dimension, amount
local function ledger(a)
  local symbol = redis.call('HGET', key.symbols(a[2]), 'output/metadata/as')
  return symbol and 'l:' .. symbol .. a[3]
end
function checks.collate(a)
  local field = ledger(a)
  if not jobs.exists(a[1]) then return missing(a[1]) end
  if not field then
    return {'missing', 'activity \'' .. a[2] .. '\' has no symbols: call reserve_symbol_range first'}
  end
  return sums.try(key.job(a[1]), field, a[4])
end
function calls.collate(a) return sums.add(key.job(a[1]), ledger(a), a[4]) end

-- job, guid, amount
function checks.collate_synthetic(a)
  return sums.try(key.job(a[1]), 'm:' .. a[2], a[3], jobs.expired(a[1]) and '0' or nil)
end
function calls.collate_synthetic(a)
  jobs.ready(a[1])
  return sums.add(key.job(a[1]), 'm:' .. a[2], a[3])
end

-- job, guid
function calls.has_mark(a)
  if jobs.expired(a[1]) then return 0 end
  return redis.call('HEXISTS', key.job(a[1]), 'm:' .. a[2])
end

-- job, milliseconds
function calls.expire_job(a)
  if not jobs.exists(a[1]) then return 0 end
  local at = text(now + a[2])
  redis.call('HSET', key.job(a[1]), 'x', at)
  redis.call('ZADD', key.expiring(), at, a[1])
  return 1
end

-- job, topic, amount, path of the error, error or nil
function checks.interrupt(a)
  if not jobs.exists(a[1]) then return missing(a[1]) end
  if tonumber(redis.call('HGET', key.job(a[1]), 's')) <= 0 then
    return {'done', 'job \'' .. a[1] .. '\' is completed already'}
  end
end
function calls.interrupt(a)
  redis.call('HINCRBY', key.job(a[1]), 's', a[3])
  if a[5] then
    local field = redis.call('HGET', key.symbols('$' .. a[2]), a[4]) or a[4]
    redis.call('HSET', key.job(a[1]), 'f:' .. field, a[5])
  end
  return 1
end

function calls.scrub(a)
  jobs.purge(a[1])
  return 1
end

-- job, dependency
function calls.add_dependency(a)
  jobs.ready(a[1])
  redis.call('ZADD', key.dependents(a[1]), 'NX', next_id(), a[2])
  return 1
end
function calls.get_dependencies(a)
  if jobs.expired(a[1]) then return {} end
  return redis.call('ZRANGE', key.dependents(a[1]), 0, -1)
end

-- after, limit, from the start: ids that were looked at last (text) and those of them that live
function calls.find_jobs(a)
  local from = a[3] and '-' or '(' .. a[1]
  local ids, live = redis.call('ZRANGEBYLEX', key.jobs(), from, '+', 'LIMIT', 0, a[2]), {}
  for _, id in ipairs(ids) do
    if jobs.exists(id) then live[#live + 1] = id end
  end
  return {live, #ids == a[2] and ids[#ids] or false}
end

function calls.sweep(a) return jobs.sweep(a[1]) and 1 or 0 end

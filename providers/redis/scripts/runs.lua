-- needs: jobs

local function record(id, known)
  local v = redis.call('HMGET', key.job(id), 's', 'r', 'x')
  if not v[1] or is_past(v[3]) then return false end
  if tonumber(v[2]) == known then return {id, v[2], v[1], '', ''} end
  local content = redis.call('HMGET', key.job(id), 'S', 'O')
  return {id, v[2], v[1], content[1] or '', content[2] or ''}
end

-- job, known revision
function calls.load_run(a) return record(a[1], a[2]) end

-- pointer, known job, known revision
function calls.load_current_run(a)
  local id = redis.call('HGET', key.pointers(), a[1])
  return id and record(id, id == a[2] and a[3] or -1)
end

-- after, limit, status or nil, from the start
function calls.list_runs(a)
  local found, from = {}, a[4] and '-' or '(' .. a[1]
  while #found < a[2] do
    local ids = redis.call('ZRANGEBYLEX', key.jobs(), from, '+', 'LIMIT', 0, a[2])
    for _, id in ipairs(ids) do
      local status = redis.call('HGET', key.job(id), 's')
      if #found < a[2] and (not a[3] or status == a[3]) then
        found[#found + 1] = record(id, -1) or nil
      end
      from = '(' .. id
    end
    if #ids < a[2] then break end
  end
  return found
end

-- after, limit: a flat list of pointer, run
function calls.list_current_runs(a)
  local found, after = {}, a[1]
  while #found < a[2] * 2 do
    local ids = walk(key.pointer_ids(), after, a[2])
    for _, id in ipairs(ids) do
      local run = redis.call('HGET', key.pointers(), id)
      if #found < a[2] * 2 and not jobs.expired(run) then
        found[#found + 1] = id
        found[#found + 1] = run
      end
      after = id
    end
    if #ids < a[2] then break end
  end
  return found
end

-- job, batches (flat)
local next_of = {}
function checks.append_events(a)
  local expected = next_of[a[1]] or jobs.read(a[1]).next
  if #a[2] == 0 then return end
  if a[2][1] ~= expected then return {'revision', a[1]} end
  next_of[a[1]] = a[2][#a[2] - 1]
end
function calls.append_events(a)
  if #a[2] > 0 then
    jobs.ready(a[1])
    jobs.append(a[1], a[2])
  end
  return false
end

-- job, from, before (or nil), limit, reverse: a flat list of id of the entry, data
function calls.get_events(a)
  if jobs.expired(a[1]) then return {} end
  local name = key.history(a[1])
  local holder = redis.call('XREVRANGE', name, text(a[2]), '-', 'COUNT', 1)[1]
  local from = holder and holder[1]:match('^%d+') or '0'
  if holder and tonumber(holder[1]:match('%d+$')) <= a[2] then from = '(' .. holder[1] end
  local to = a[3] and text(a[3] - 1) or '+'
  local entries
  if a[5] then
    entries = redis.call('XREVRANGE', name, to, from, 'COUNT', a[4])
  else
    entries = redis.call('XRANGE', name, from, to, 'COUNT', a[4])
  end
  local found = {}
  for _, entry in ipairs(entries) do
    found[#found + 1] = entry[1]
    found[#found + 1] = entry[2][2]
  end
  return found
end

-- job, revision
function checks.guard(a)
  local job = jobs.read(a[1])
  if (job.status and job.revision or 0) ~= a[2] then return {'revision', a[1]} end
end
function calls.guard() return false end

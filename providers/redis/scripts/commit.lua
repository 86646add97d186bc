-- needs: runs messages timers outbox documents

-- The engine's unit of work. Everything is checked before anything is written, as a script cannot take back.

-- job, expected revision, status, state, origin or nil, batches (flat)
local function check_run(write)
  local job = jobs.read(write[1])
  local revision = job.status and job.revision or 0
  if write[2] == 0 and job.status then return {'revision', write[1]} end
  if revision ~= write[2] then return {'revision', write[1]} end
  if write[6][1] and write[6][1] ~= job.next then return {'revision', write[1]} end
end

-- pointer, expected or nil, run
local function check_pointer(write)
  local current = redis.call('HGET', key.pointers(), write[1])
  if current and jobs.expired(current) then current = nil end
  if (current or nil) ~= write[2] then return {'pointer', write[1], current or false} end
end

local function check_marks(marks)
  local seen = {}
  for _, mark in ipairs(marks) do
    local name = #mark[1] .. ':' .. mark[1] .. mark[2]
    local set = redis.call('HEXISTS', key.job(mark[1]), 'm:' .. mark[2]) == 1 and not jobs.expired(mark[1])
    if set or seen[name] then return {'mark', mark[1], mark[2]} end
    seen[name] = true
  end
end

local function write_run(write)
  local id = write[1]
  if write[2] == 0 then
    jobs.create(id, write[3], 1)
    redis.call('HSET', key.job(id), 'S', write[4])
    if write[5] then redis.call('HSET', key.job(id), 'O', write[5]) end
  else
    redis.call('HSET', key.job(id), 's', write[3], 'r', write[2] + 1, 'S', write[4])
  end
  jobs.append(id, write[6])
end

-- runs, pointers, marks, publishes, outbox, acks, cancelled timers, timers, documents
function checks.commit(a)
  for _, write in ipairs(a[1]) do
    local problem = check_run(write)
    if problem then return problem end
  end
  for _, write in ipairs(a[2]) do
    local problem = check_pointer(write)
    if problem then return problem end
  end
  return check_marks(a[3])
end

local function write_state(a)
  for _, write in ipairs(a[1]) do jobs.ready(write[1]) end
  for _, write in ipairs(a[2]) do
    local current = redis.call('HGET', key.pointers(), write[1])
    if current then jobs.ready(current) end
  end
  for _, mark in ipairs(a[3]) do jobs.ready(mark[1]) end
  for _, write in ipairs(a[1]) do write_run(write) end
  for _, write in ipairs(a[2]) do jobs.point(write[1], write[3]) end
  for _, mark in ipairs(a[3]) do redis.call('HSET', key.job(mark[1]), 'm:' .. mark[2], 1) end
end

function calls.commit(a)
  write_state(a)
  local ids, outbox_ids = {}, {}
  for i, p in ipairs(a[4]) do ids[i] = messages.publish(p[1], p[2], p[3], p[4], p[5]) end
  for i, p in ipairs(a[5]) do outbox_ids[i] = outbox.add(p[1], p[2], p[3], p[4]) end
  for _, ack in ipairs(a[6]) do messages.dispose(ack[1], ack[2], ack[3], ack[4], ack[5]) end
  for _, id in ipairs(a[7]) do jobs.drop_timer(id) end
  for _, timer in ipairs(a[8]) do timers.arm(timer[1], timer[2], timer[3]) end
  for _, document in ipairs(a[9]) do search.write(unpack(document, 1, 5)) end
  return {ids, outbox_ids}
end

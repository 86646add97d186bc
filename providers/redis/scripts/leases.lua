-- needs: keys

-- A lease is a hash of owner, fence and end; a released one stays, so that the fence goes on growing.

local function read_lease(name)
  local v = redis.call('HMGET', key.lease(name), 'o', 'f', 'e')
  return v[1] or '', tonumber(v[2] or 0), tonumber(v[3] or 0)
end

-- name, owner, ttl, now (nil: the server's), whether an own one is extended: the fence or 0
function calls.acquire_lease(a)
  local owner, fence, ends = read_lease(a[1])
  local at = a[4] or now
  local mine = owner == a[2] and ends > at
  if ends > at and not (mine and a[5]) then return 0 end
  if not mine then fence = fence + 1 end
  redis.call('HSET', key.lease(a[1]), 'o', a[2], 'f', fence, 'e', text(at + a[3]))
  return fence
end

-- name, owner, fence, ttl, now
function calls.renew_lease(a)
  local owner, fence, ends = read_lease(a[1])
  if owner ~= a[2] or fence ~= a[3] or ends <= a[5] then return 0 end
  redis.call('HSET', key.lease(a[1]), 'e', text(a[5] + a[4]))
  return 1
end

-- name, owner, fence (nil: whatever it is, if it has not lapsed)
function calls.release_lease(a)
  local owner, fence, ends = read_lease(a[1])
  if owner ~= a[2] then return 0 end
  if a[3] and fence ~= a[3] or not a[3] and ends <= now then return 0 end
  redis.call('HSET', key.lease(a[1]), 'o', '', 'e', 0)
  return 1
end

-- needs: jobs

-- identity (packed), job, time
function calls.arm_hook(a)
  if redis.call('HEXISTS', key.hook_ids(), a[1]) == 1 then return false end
  jobs.ready(a[2])
  local seq = next_id()
  redis.call('HSET', key.hook_ids(), a[1], seq)
  redis.call('HSET', key.hook_data(), seq, cmsgpack.pack({a[1], a[2], a[3], 0}))
  redis.call('HSET', key.job(a[2]), 'h:' .. seq, '')
  redis.call('ZADD', key.hooks(), a[3], seq)
  return false
end

-- lease, time or nil: false, or identity and fence
function calls.claim_hook(a)
  each_due(key.claimed_hooks(), now, function(seq)
    redis.call('ZADD', key.hooks(), cmsgpack.unpack(redis.call('HGET', key.hook_data(), seq))[3], seq)
  end)
  local from, to = a[2] or '-inf', a[2] and math.min(a[2], now) or now
  if a[2] and a[2] > now then return false end
  local seq = redis.call('ZRANGEBYSCORE', key.hooks(), from, to, 'LIMIT', 0, 1)[1]
  if not seq then return false end
  local data, fence = cmsgpack.unpack(redis.call('HGET', key.hook_data(), seq)), redis.call('INCR', key.fences())
  redis.call('HSET', key.hook_data(), seq, cmsgpack.pack({data[1], data[2], data[3], fence}))
  redis.call('ZREM', key.hooks(), seq)
  redis.call('ZADD', key.claimed_hooks(), now + a[1], seq)
  return {data[1], fence}
end

-- identity (packed), fence
function calls.ack_hook(a)
  local seq = redis.call('HGET', key.hook_ids(), a[1])
  if not seq then return 0 end
  local data = cmsgpack.unpack(redis.call('HGET', key.hook_data(), seq))
  if data[4] ~= a[2] then return 0 end
  drop_hook(seq)
  redis.call('HDEL', key.job(data[2]), 'h:' .. seq)
  return 1
end

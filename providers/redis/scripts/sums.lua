-- needs: keys

-- Sums of 64 bits. Redis adds exactly but refuses to overflow, and a script cannot take back what it has written; so a
-- sum is tried on a scratch hash first.
local sums = {}
local tried = {}

local function slot(name, field, initial)
  local member = name .. '\0' .. field
  if not tried[member] then
    tried[member] = true
    redis.call('HSET', key.scratch(), member, initial or redis.call('HGET', name, field) or '0')
  end
  return member
end

-- A problem if adding would overflow. `initial` stands for the stored value where that is not the one that counts.
function sums.try(name, field, amount, initial)
  local member = slot(name, field, initial)
  local result = redis.pcall('HINCRBY', key.scratch(), member, amount)
  if type(result) == 'table' and result.err then return {'invalid', 'the sum does not fit into 64 bits'} end
end

-- Notes that the value will have been replaced.
function sums.replaced(name, field, value)
  redis.call('HSET', key.scratch(), slot(name, field), value)
end

after_checks[#after_checks + 1] = function()
  if next(tried) then redis.call('DEL', key.scratch()) end
end

-- Adds, and returns the sum as text.
function sums.add(name, field, amount)
  redis.call('HINCRBY', name, field, amount)
  return redis.call('HGET', name, field)
end

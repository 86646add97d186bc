-- The end of every script: ARGV[1] is a list of [call, arguments]. All are checked, then all are applied: a script
-- cannot take back what it has written.

local batch = cmsgpack.unpack(ARGV[1])
local problem
for _, one in ipairs(batch) do
  local check = checks[one[1]]
  problem = problem or check and check(one[2])
end
for _, fn in ipairs(after_checks) do fn() end
if problem then return {0, problem} end
local results = {}
for i, one in ipairs(batch) do results[i] = calls[one[1]](one[2]) end
for _, fn in ipairs(at_end) do fn() end
return {1, results}

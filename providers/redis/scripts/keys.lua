-- Names: the one place that knows where things are. KEYS[1] is "<prefix>:{<namespace>:<app>}:", so that all keys of an
-- app share one hash slot of a cluster, and one script can change them all.

local ROOT = KEYS[1]
local calls, checks = {}, {}
local after_checks, at_end = {}, {} -- functions that main.lua calls
local key = {}

-- Jobs and runs. A job is one hash, so that what belongs to it goes with it:
--   s status, r revision, n next event id, S state, O origin, x time of expiry (ms)
--   f:<field> user fields, l:<field> ledgers, m:<guid> marks, p:<pointer> pointers that name it, h:<seq> time hooks
-- Without s the job does not exist; it may have marks, events and so on all the same.
function key.job(id) return ROOT .. 'j:' .. id end
-- Stream: one entry per batch of events, its id is <first event id>-<next event id>.
function key.history(id) return ROOT .. 'h:' .. id end
-- Sorted set: ids of jobs that end with this one, scored by the order of adding.
function key.dependents(id) return ROOT .. 'd:' .. id end
-- Sorted set without scores, for walks in order: ids of jobs that exist.
function key.jobs() return ROOT .. 'jobs' end
-- Sorted set: jobs that are to vanish, scored by when.
function key.expiring() return ROOT .. 'expiring' end
-- Hash: current-run pointer to run; sorted set of its fields, for walks in order.
function key.pointers() return ROOT .. 'pointers' end
function key.pointer_ids() return ROOT .. 'pointer_ids' end

-- Timers. Unclaimed by time, claimed by end of the claim; hash of [time, fence, payload]; set for walks in order.
function key.timers() return ROOT .. 'timers' end
function key.claimed_timers() return ROOT .. 'timers_claimed' end
function key.timer_data() return ROOT .. 'timer_data' end
function key.timer_ids() return ROOT .. 'timer_ids' end

-- Time hooks, by sequence number: unclaimed by time, claimed by end of the claim; hash of identity and fence.
function key.hooks() return ROOT .. 'hooks' end
function key.claimed_hooks() return ROOT .. 'hooks_claimed' end
function key.hook_data() return ROOT .. 'hook_data' end
function key.hook_ids() return ROOT .. 'hook_ids' end

-- Message streams, see messages.lua.
function key.streams() return ROOT .. 'streams' end
function key.log(stream) return ROOT .. 'x:' .. stream end
function key.ready(stream) return ROOT .. 'xr:' .. stream end
function key.delayed(stream) return ROOT .. 'xd:' .. stream end
function key.leased(stream) return ROOT .. 'xl:' .. stream end
function key.meta(stream) return ROOT .. 'xm:' .. stream end
function key.dead(stream) return ROOT .. 'xz:' .. stream end
function key.groups(stream) return ROOT .. 'xg:' .. stream end
-- Channel: streams that are worth a look, [sender, stream, ...].
function key.wake() return ROOT .. 'wake' end

-- Outbox: stream of entries; sorted set of their ids, scored by the end of the claim (0: unclaimed).
function key.outbox() return ROOT .. 'outbox' end
function key.outbox_due() return ROOT .. 'outbox_due' end

-- Search: hashes of [namespace, fields], data and index entries; index of a field; ids of a namespace.
function key.docs() return ROOT .. 'docs' end
function key.doc_data() return ROOT .. 'doc_data' end
function key.doc_entries() return ROOT .. 'doc_entries' end
function key.index(space, field) return ROOT .. 'i:' .. #space .. ':' .. space .. ':' .. field end
function key.space(space) return ROOT .. 'a:' .. space end

-- The rest: hashes, but for leases (a hash each), lists, samples (sorted sets) and work items (a sorted set).
function key.settings() return ROOT .. 'settings' end
function key.app(id) return ROOT .. 'app:' .. id end
function key.lease(name) return ROOT .. 'lease:' .. name end
function key.symbols(target) return ROOT .. 'sym:' .. target end
function key.symbol_targets() return ROOT .. 'symbol_targets' end
function key.symbol_ranges() return ROOT .. 'symbol_ranges' end
function key.symbol_cursor() return ROOT .. 'symbol_cursor' end
function key.symbol_values() return ROOT .. 'symbol_values' end
function key.routing(kind, version) return ROOT .. 'r:' .. kind .. ':' .. version end
function key.signal(target) return ROOT .. 'sig:' .. target end
function key.throttles() return ROOT .. 'throttles' end
function key.counters(bucket) return ROOT .. 'c:' .. bucket end
function key.list(name) return ROOT .. 'l:' .. name end
function key.samples(name) return ROOT .. 'm:' .. name end
function key.work() return ROOT .. 'work' end
function key.database() return ROOT .. 'database' end
function key.last_id() return ROOT .. 'last_id' end
function key.fences() return ROOT .. 'fences' end
function key.scratch() return ROOT .. 'scratch' end

-- The clock, in milliseconds; it stands still while a script runs.
local started = redis.call('TIME')
local now = started[1] * 1000 + math.floor(started[2] / 1000)

-- Numbers as text: Lua's own conversion keeps 14 digits only.
local function text(number) return string.format('%.0f', number) end

-- A number that no earlier call had, of 16 digits, growing: microseconds since the epoch.
local last_id
local function next_id()
  if not last_id then last_id = tonumber(redis.call('GET', key.last_id()) or 0) end
  last_id = math.max(last_id + 1, started[1] * 1000000 + started[2])
  redis.call('SET', key.last_id(), text(last_id))
  return text(last_id)
end

-- Calls fn with the members of a sorted set whose score is at most `limit`, in portions.
local function each_due(name, limit, fn)
  repeat
    local due = redis.call('ZRANGEBYSCORE', name, '-inf', limit, 'LIMIT', 0, 200)
    for _, member in ipairs(due) do
      redis.call('ZREM', name, member)
      fn(member)
    end
  until #due < 200
end

-- Up to `limit` members of a set of equal scores, in order, from the first one greater than `after`.
local function walk(name, after, limit)
  return redis.call('ZRANGEBYLEX', name, '(' .. after, '+', 'LIMIT', 0, limit)
end

-- Fields and values of a table as arguments of one command.
local function hset_all(name, entries)
  for i = 1, #entries, 2 do redis.call('HSET', name, entries[i], entries[i + 1]) end
end

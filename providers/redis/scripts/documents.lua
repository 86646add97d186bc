-- needs: keys

local search = {}

-- Removes a document. `kept` holds the index entries that are to stay.
local function unindex(id, entries, kept)
  for i = 1, #entries, 2 do
    if not (kept and kept[entries[i] .. '\0' .. entries[i + 1]]) then
      redis.call('ZREM', entries[i], entries[i + 1])
    end
  end
end

local function stored_entries(id)
  local packed = redis.call('HGET', key.doc_entries(), id)
  return packed and cmsgpack.unpack(packed) or {}
end

-- id, namespace, fields, data, entries (a flat list of field, member)
function search.write(id, space, fields, data, given)
  local wanted, entries = {}, {key.space(space), id}
  for i = 1, #given, 2 do
    entries[#entries + 1] = key.index(space, given[i])
    entries[#entries + 1] = given[i + 1]
  end
  local old, had = stored_entries(id), {}
  for i = 1, #old, 2 do had[old[i] .. '\0' .. old[i + 1]] = true end
  for i = 1, #entries, 2 do
    local name = entries[i] .. '\0' .. entries[i + 1]
    wanted[name] = true
    if not had[name] then redis.call('ZADD', entries[i], 0, entries[i + 1]) end
  end
  unindex(id, old, wanted)
  redis.call('HSET', key.docs(), id, cmsgpack.pack({space, fields}))
  redis.call('HSET', key.doc_data(), id, data)
  redis.call('HSET', key.doc_entries(), id, cmsgpack.pack(entries))
end

function search.delete(id)
  unindex(id, stored_entries(id))
  redis.call('HDEL', key.doc_entries(), id)
  redis.call('HDEL', key.doc_data(), id)
  return redis.call('HDEL', key.docs(), id)
end

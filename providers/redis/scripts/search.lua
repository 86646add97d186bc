-- needs: jobs documents

-- a list of documents, see search.write
function calls.upsert(a)
  for _, document in ipairs(a[1]) do search.write(unpack(document, 1, 5)) end
  return false
end

function calls.delete_documents(a)
  local count = 0
  for _, id in ipairs(a[1]) do count = count + search.delete(id) end
  return count
end

-- Documents by id: namespace, fields (and data) of each, false for what is not there.
function calls.documents(a)
  local found = {}
  for i, id in ipairs(a[1]) do
    local packed = redis.call('HGET', key.docs(), id)
    if packed and not jobs.expired(id) then
      local document = cmsgpack.unpack(packed)
      found[i] = {document[1], document[2], a[2] and redis.call('HGET', key.doc_data(), id) or ''}
    else
      found[i] = false
    end
  end
  return found
end

-- namespace, ranges [field, low, high]: removes what has expired; then how many documents there are, how many entries
-- each range has, and 1 if there may be more that has expired
function calls.measure(a)
  local more = jobs.sweep(50)
  local sizes = {more and 1 or 0, redis.call('ZCARD', key.space(a[1]))}
  for _, range in ipairs(a[2]) do
    sizes[#sizes + 1] = redis.call('ZLEXCOUNT', key.index(a[1], range[1]), range[2], range[3])
  end
  return sizes
end

-- The document of an entry of an index; see search_entries.py for the kinds of values before it.
local function id_of(entry)
  local kind = entry:byte(1)
  if kind == 0x10 then return entry:sub(18) end
  if kind == 0x30 then return entry:sub(3) end
  if kind == 0x40 then return entry:sub(2) end
  local last = entry:find('\0', 2, true)
  while entry:byte(last + 1) == 0xff do last = entry:find('\0', last + 1, true) end
  return entry:sub(last + 1)
end

-- Tests of a document by the index alone: ['=', field, value, ...] one of these, ['!', test], ['&', ...], ['|', ...].
local function prepare(test, space)
  if test[1] == '=' then
    test[2] = key.index(space, test[2])
  else
    for i = 2, #test do prepare(test[i], space) end
  end
end

local function holds(test, id)
  local kind = test[1]
  if kind == '!' then return not holds(test[2], id) end
  if kind == '=' then
    for i = 3, #test do
      if redis.call('ZSCORE', test[2], test[i] .. id) then return true end
    end
    return false
  end
  for i = 2, #test do
    if holds(test[i], id) == (kind == '|') then return kind == '|' end
  end
  return kind == '&'
end

-- namespace, field (nil: ids of all documents), low, high, limit, descending, test or nil, whether only to count: how
-- many were looked at, the last of them, and those that pass
function calls.entries(a)
  local name, found = a[2] and key.index(a[1], a[2]) or key.space(a[1]), nil
  if a[6] then
    found = redis.call('ZREVRANGEBYLEX', name, a[4], a[3], 'LIMIT', 0, a[5])
  else
    found = redis.call('ZRANGEBYLEX', name, a[3], a[4], 'LIMIT', 0, a[5])
  end
  local test, passed = a[7], found
  if test then
    prepare(test, a[1])
    passed = {}
    for _, entry in ipairs(found) do
      if holds(test, a[2] and id_of(entry) or entry) then passed[#passed + 1] = entry end
    end
  end
  return {#found, found[#found] or '', a[8] and #passed or passed}
end

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

-- namespace, field (nil: ids of all documents), low, high, limit, descending
function calls.entries(a)
  local name = a[2] and key.index(a[1], a[2]) or key.space(a[1])
  if a[6] then return redis.call('ZREVRANGEBYLEX', name, a[4], a[3], 'LIMIT', 0, a[5]) end
  return redis.call('ZRANGEBYLEX', name, a[3], a[4], 'LIMIT', 0, a[5])
end

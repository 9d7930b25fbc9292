-- KEYS: what is removed. ARGV: the version in 8 bytes, what follows a position, and
-- the milliseconds for which the removal is remembered.
for i = 1, #KEYS do
  local last = redis.call('GETRANGE', KEYS[i], 0, 15)
  local at = now
  -- What is present is never later than its removal, whatever the clock says.
  if #last == 16 and string.sub(last, 1, 8) == ARGV[1] then
    local high, low = struct.unpack('>I4I4', string.sub(last, 9, 16))
    at = math.max(at, high * 4294967296 + low + 1)
  end
  local position = ARGV[1] .. struct.pack('>I4I4', math.floor(at / 4294967296), at % 4294967296)
  if is_later(position, last) then
    redis.call('SET', KEYS[i], position .. ARGV[2], 'PX', ARGV[3])
  end
end
return redis.status_reply('OK')

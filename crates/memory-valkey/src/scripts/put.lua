-- KEYS: the group's key, then keys of it. ARGV: the longest delay in microseconds,
-- then for each key its position, the time of it, its value and its milliseconds to
-- live. Returns 1 for each value that was written, else 0.
local group = redis.call('GET', KEYS[1]) or ''
local written = {}
for i = 2, #KEYS do
  local at = (i - 2) * 4 + 1
  local position, as_of = ARGV[at + 1], tonumber(ARGV[at + 2])
  written[i - 1] = 0
  if as_of <= now and now - as_of <= tonumber(ARGV[1])
    and is_later(position, group)
    and is_later(position, redis.call('GETRANGE', KEYS[i], 0, 15))
  then
    redis.call('SET', KEYS[i], ARGV[at + 3], 'PX', ARGV[at + 4])
    written[i - 1] = 1
  end
end
return written

-- Whether position a is later than b, which may be missing, or of another program.
-- Byte by byte: `<` uses the server's locale.
local function is_later(a, b)
  if #b < 16 then return true end
  for i = 1, 16 do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- The requests of `cargo xtask serve-bench` for wrk. Its one argument is a file with a
-- request on each line: method, path and body, separated by tabs. They are sent in order,
-- again and again, by all connections together. `{N}` in a body becomes the number of
-- requests until then, so that texts can be new.

local prepared, templates = {}, {}
local position, sent = 0, 0

function init(args)
   for line in io.lines(args[1]) do
      local method, path, body = line:match("^(%S+)\t(%S+)\t(.*)$")
      local index = #prepared + 1
      if body:find("{N}", 1, true) then
         prepared[index] = false
         templates[index] = { method = method, path = path, body = body }
      else
         local content = body ~= "" and body or nil
         prepared[index] = wrk.format(method, path, nil, content)
      end
   end
end

function request()
   position = position % #prepared + 1
   sent = sent + 1
   local template = templates[position]
   if template then
      local body = template.body:gsub("{N}", tostring(sent))
      return wrk.format(template.method, template.path, nil, body)
   end
   return prepared[position]
end

function done(summary, latency)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format(
      '{"requests":%d,"micros":%d,"failed":%d,"p50":%d,"p99":%d,"max":%d}\n',
      summary.requests, summary.duration, failed,
      latency:percentile(50), latency:percentile(99), latency.max
   ))
end

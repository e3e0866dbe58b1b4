-- Cycles through the requests of one run, built before it begins.
local requests, at = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local key, address = line:match("(%S+) (%S+)")
    requests[#requests + 1] =
      wrk.format("GET", arguments[2], { ["X-Api-Key"] = key, ["X-Forwarded-For"] = address })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d %d\n", summary.requests, failed, latency.max))
end

-- Sends prepared requests in turn, and prints what came of it as one line of JSON.
local requests, count, at = {}, 0, 0

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    while true do
        local length = file:read("*l")
        if not length then break end
        count = count + 1
        requests[count] = file:read(tonumber(length))
    end
    file:close()
end

function request()
    at = at % count + 1
    return requests[at]
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        '\nwrk-summary {"requests":%d,"seconds":%.6f,"failures":%d,"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end

-- wrk script: posts files in turn, and ends with one line of JSON.
--   wrk ... -s post.lua URL -- FILE...
local requests, turn = {}, 0

function init(files)
    for i = 1, #files do
        local file = assert(io.open(files[i], "rb"))
        requests[i] = wrk.format("POST", nil, { ["Content-Type"] = "image/jpeg" }, file:read("*a"))
        file:close()
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "seconds": %.6f, "errors": %d, "median_ms": %.4f}\n', summary.requests,
        summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.status +
        errors.timeout, latency:percentile(50) / 1e3))
end

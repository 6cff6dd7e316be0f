-- Charges one request to several buckets, all of them or none. Each bucket is
-- a time: when it is full again (GCRA), in microseconds since the year 2026, so
-- that fractions keep their precision.
--
-- KEYS: the buckets.
-- ARGV, four for each: microseconds in which one unit comes back; the burst;
--   the amount; 1 where a refusal counts for all, 0 where it is only measured.
-- Returns three numbers for each: the wait in microseconds (0: granted), the
--   units that are left, and the microseconds until the bucket is full.

local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - 1767225600) * 1000000 + tonumber(clock[2])

local full, waits, refused = {}, {}, false
for i, key in ipairs(KEYS) do
    local interval = tonumber(ARGV[i * 4 - 3])
    local burst = tonumber(ARGV[i * 4 - 2])
    local amount = tonumber(ARGV[i * 4 - 1])
    full[i] = math.max(now, tonumber(redis.call('GET', key) or '0'))
    waits[i] = math.max(0, math.ceil(full[i] + (amount - burst) * interval - now))
    if waits[i] > 0 and ARGV[i * 4] == '1' then
        refused = true
    end
end

local told = {}
for i, key in ipairs(KEYS) do
    local interval = tonumber(ARGV[i * 4 - 3])
    local burst = tonumber(ARGV[i * 4 - 2])
    local amount = tonumber(ARGV[i * 4 - 1])
    if not refused and waits[i] == 0 then
        full[i] = full[i] + amount * interval
        local life = math.ceil((full[i] - now) / 1000) + 1
        redis.call('SET', key, string.format('%.3f', full[i]), 'PX', life)
    end
    told[#told + 1] = waits[i]
    told[#told + 1] = math.max(0, math.floor(burst - (full[i] - now) / interval + 1e-6))
    told[#told + 1] = math.ceil(full[i] - now)
end
return told

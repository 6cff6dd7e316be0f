-- What every step shares: the clock, positions, counting, and which message of
-- a line is next. All of a step is one script, which Redis runs as a whole.
--
-- KEYS: the prefix, `{switchboard}`: one slot for all keys of a deployment.
-- ARGV: the step; by which start of Redis its caller knows it; what the step needs.
--
-- A message is a hash, PREFIX:m:ID. `ph` is how it stands: P it is being
-- published, W it waits, C it is in hand, D delivered, X given up, R refused.
-- `place` is where it lies durably: main, or the number of its copy in the vault;
-- that is believed where `seen` is this start of Redis. `v` tells copies from
-- before a dead letter was put back from those after; `ver` is what callers see.

local P = KEYS[1]
local RUN = ARGV[2]

local function str(number)
    return string.format('%.0f', number)
end

local clock = redis.call('TIME')
local now_us = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local now = math.floor(now_us / 1000)

local function m(id)
    return P .. ':m:' .. id
end

local function of(what, p, q)
    return P .. ':' .. what .. ':' .. p .. ':' .. q
end

-- The fields of a message, by name; none where it is not known.
local function get(id, ...)
    local values = redis.call('HMGET', m(id), 'ph', ...)
    if not values[1] then
        return nil
    end
    local fields = { ph = values[1] }
    for i, name in ipairs({ ... }) do
        fields[name] = values[i + 1] or ''
    end
    return fields
end

-- Places grow with time, also where Redis has lost the last one.
local function next_position()
    local last = tonumber(redis.call('GET', P .. ':position') or '0')
    local position = math.max(last + 1, now_us)
    redis.call('SET', P .. ':position', str(position))
    return str(position)
end

local function not_before_position(position)
    local last = tonumber(redis.call('GET', P .. ':position') or '0')
    if tonumber(position) > last then
        redis.call('SET', P .. ':position', position)
    end
end

local function count(q, messages, bytes)
    redis.call('HINCRBY', P .. ':count', 'messages', messages)
    redis.call('HINCRBY', P .. ':count', 'bytes', bytes)
    redis.call('HINCRBY', P .. ':count', 'w:' .. q, messages)
    redis.call('HINCRBY', P .. ':count', 'b:' .. q, bytes)
end

local function tell(what)
    redis.call('PUBLISH', P .. ':news', what)
end

-- Something is different of a message.
local function changed(id)
    redis.call('HINCRBY', m(id), 'ver', 1)
    tell('m' .. id)
end

-- Looks at the first of a line: it is ready, waits for its time, is in hand, or holds up the others.
local function look(q, p, l)
    redis.call('ZREM', of('ready', p, q), l)
    redis.call('ZREM', of('later', p, q), l)
    redis.call('ZREM', of('out', p, q), l)
    local head = redis.call('ZRANGE', P .. ':line:' .. l, 0, 0)[1]
    if not head then
        return
    end
    local first = get(head, 'due', 'since', 'until', 'pos')
    if not first then
        redis.call('ZREM', P .. ':line:' .. l, head)
        return look(q, p, l)
    end
    if first.ph == 'P' then
        -- Nobody overtakes it before its publisher, or who finds it at the brokers, had time to say that it is there.
        if tonumber(first['until']) > now then
            redis.call('ZADD', of('later', p, q), first['until'], l)
            return
        end
        redis.call('ZREM', P .. ':line:' .. l, head)
        return look(q, p, l)
    end
    if first.since == '' then
        redis.call('HSET', m(head), 'since', str(now))
    end
    if first.ph == 'C' then
        redis.call('ZADD', of('out', p, q), first['until'], l)
    elseif first.ph == 'W' and tonumber(first.due) <= now then
        redis.call('ZADD', of('ready', p, q), first.pos, l)
        tell('q' .. q)
    elseif first.ph == 'W' then
        redis.call('ZADD', of('later', p, q), first.due, l)
        tell('q' .. q)
    end
end

local function enter_line(id, q, p, l, position)
    redis.call('ZADD', P .. ':line:' .. l, position, id)
    look(q, p, l)
end

local function leave_line(id, q, p, l)
    redis.call('ZREM', P .. ':line:' .. l, id)
    look(q, p, l)
end

-- A copy in the vault is of no use any more.
local function wasted(place, p, q)
    if place ~= 'main' and place ~= '' then
        redis.call('HINCRBY', of('vault', p, q), 'garbage', 1)
        redis.call('HINCRBY', of('vault', p, q), 'live', -1)
    end
end

-- Who was its owner has died, or has not renewed its claim.
local function give_back(q, p, l)
    local head = redis.call('ZRANGE', P .. ':line:' .. l, 0, 0)[1]
    if head and redis.call('HGET', m(head), 'ph') == 'C' then
        redis.call('HSET', m(head), 'ph', 'W', 'tok', '', 'due', '0')
        redis.call('HINCRBY', m(head), 'crashes', 1)
        changed(head)
    end
    look(q, p, l)
end

-- A message of a caller is finished, and may be erased.
local function is_of(caller, id)
    if caller ~= '' then
        redis.call('SADD', P .. ':of:' .. caller, id)
    end
end

local steps = {}

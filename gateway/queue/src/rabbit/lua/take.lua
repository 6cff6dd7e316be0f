-- In whose hands a message is, and how it went.

-- Who lives, and who owns what: who asks, milliseconds of silence, partitions, queues.
steps.beat = function(me, silence, partitions, ...)
    local answer = {}
    for _, q in ipairs({ ... }) do
        local members = P .. ':members:' .. q
        if redis.call('ZADD', members, now, me) == 1 then
            tell('b')
        end
        redis.call('ZREMRANGEBYSCORE', members, '-inf', now - tonumber(silence))
        redis.call('SADD', P .. ':queues', q)
        local leases = {}
        for p = 0, tonumber(partitions) - 1 do
            local lease = redis.call('HMGET', of('lease', p, q), 'owner', 'fence')
            leases[#leases + 1] = lease[1] or ''
            leases[#leases + 1] = lease[2] or '0'
        end
        answer[#answer + 1] = { redis.call('ZRANGE', members, 0, -1), leases }
    end
    return answer
end

steps.leave = function(me, ...)
    for _, q in ipairs({ ... }) do
        redis.call('ZREM', P .. ':members:' .. q, me)
    end
    tell('b')
    return 1
end

-- Owns a partition from now on, unless its owner lives: what that had in hand is in nobody's.
steps.own = function(p, q, me)
    local key = of('lease', p, q)
    local owner = redis.call('HGET', key, 'owner')
    if owner and owner ~= '' and owner ~= me and redis.call('ZSCORE', P .. ':members:' .. q, owner) then
        return {}
    end
    local fence = str(redis.call('INCR', P .. ':fence'))
    redis.call('HSET', key, 'owner', me, 'fence', fence)
    for _, l in ipairs(redis.call('ZRANGE', of('out', p, q), 0, -1)) do
        give_back(q, p, l)
    end
    return { fence, redis.call('GET', of('whole', p, q)) == RUN and '1' or '0' }
end

local function owns(p, q, me, fence)
    local lease = redis.call('HMGET', of('lease', p, q), 'owner', 'fence')
    return lease[1] == me and lease[2] == fence
end

steps.give = function(p, q, me, fence)
    if owns(p, q, me, fence) then
        redis.call('HSET', of('lease', p, q), 'owner', '')
        tell('b')
    end
    return 1
end

-- Everything that lies at the broker is known here.
steps.whole = function(p, q, me, fence)
    if not owns(p, q, me, fence) then
        return 0
    end
    redis.call('SET', of('whole', p, q), RUN)
    tell('q' .. q)
    return 1
end

local function wake(p, q, most)
    for _, l in ipairs(redis.call('ZRANGEBYSCORE', of('later', p, q), '-inf', now, 'LIMIT', 0, most)) do
        look(q, p, l)
    end
    for _, l in ipairs(redis.call('ZRANGEBYSCORE', of('out', p, q), '-inf', now, 'LIMIT', 0, most)) do
        give_back(q, p, l)
    end
end

local function claim(l, p, q, me, token, ends)
    local id = redis.call('ZRANGE', P .. ':line:' .. l, 0, 0)[1]
    redis.call('HSET', m(id), 'ph', 'C', 'tok', token, 'until', ends)
    changed(id)
    look(q, p, l)
    local r = get(id, 'msg', 'prog', 'since', 'crashes')
    return { id, r.msg, r.prog, r.since, r.crashes, p }
end

-- The oldest that are due: who asks, queue, how many, token, milliseconds it holds, whether to wait for partitions that
-- are not whole yet, then partition and fence of each.
-- Answers when the queue was paused, when something is due, and what was taken.
steps.take = function(me, q, most, token, hold, waits, ...)
    local pauses = redis.call('HGET', P .. ':pauses', q) or ''
    if redis.call('SISMEMBER', P .. ':paused', q) == 1 then
        return { pauses, '', {} }
    end
    local parts, ready, due = { ... }, {}, nil
    for i = 1, #parts, 2 do
        local p, fence = parts[i], parts[i + 1]
        if owns(p, q, me, fence) and redis.call('GET', of('whole', p, q)) == RUN then
            wake(p, q, most)
            local heads = redis.call('ZRANGE', of('ready', p, q), 0, most - 1, 'WITHSCORES')
            for j = 1, #heads, 2 do
                ready[#ready + 1] = { tonumber(heads[j + 1]), heads[j], p }
            end
            for _, set in ipairs({ 'later', 'out' }) do
                local first = redis.call('ZRANGE', of(set, p, q), 0, 0, 'WITHSCORES')[2]
                if first and (not due or tonumber(first) < due) then
                    due = tonumber(first)
                end
            end
        elseif waits == '1' and owns(p, q, me, fence) then
            return { pauses, '', {} }
        end
    end
    table.sort(ready, function(one, other) return one[1] < other[1] end)
    local taken, ends = {}, str(now + tonumber(hold))
    for i = 1, math.min(#ready, tonumber(most)) do
        taken[i] = claim(ready[i][2], ready[i][3], q, me, token, ends)
    end
    return { pauses, due and str(due) or '', taken }
end

-- Milliseconds for which it holds, then id and token of each; those that are lost.
steps.renew = function(hold, ...)
    local claims, lost = { ... }, {}
    for i = 1, #claims, 2 do
        local r = get(claims[i], 'tok', 'q', 'p', 'l')
        if r and r.ph == 'C' and r.tok == claims[i + 1] then
            redis.call('HSET', m(claims[i]), 'until', str(now + tonumber(hold)))
            look(r.q, r.p, r.l)
        else
            lost[#lost + 1] = claims[i]
        end
    end
    return lost
end

local function finished(id, r)
    count(r.q, -1, -tonumber(r.bytes))
    redis.call('ZREM', P .. ':age:' .. r.q, id)
    is_of(r.caller, id)
end

-- Earlier ones of its line that were given up have been left behind.
local function moved_on(r)
    local key = P .. ':fallen:' .. r.l
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. r.pos)) do
        redis.call('HSET', m(dead), 'left', '1')
        redis.call('ZREM', key, dead)
    end
end

local outcomes = {}

outcomes.delivered = function(id, r)
    redis.call('HSET', m(id), 'ph', 'D', 'at', str(now))
    redis.call('ZADD', P .. ':done', now, id)
    finished(id, r)
    wasted(r.place, r.p, r.q)
    if r.k == '1' then
        moved_on(r)
    end
    leave_line(id, r.q, r.p, r.l)
end

outcomes.again = function(id, r, due)
    redis.call('HSET', m(id), 'ph', 'W', 'due', due, 'tok', '', 'crashes', '')
    look(r.q, r.p, r.l)
end

outcomes.returned = function(id, r)
    redis.call('HSET', m(id), 'ph', 'W', 'due', '0', 'tok', '')
    look(r.q, r.p, r.l)
end

outcomes.dead = function(id, r, _, why)
    local position = next_position()
    redis.call('HSET', m(id), 'ph', 'X', 'at', str(now), 'why', why, 'left', '')
    redis.call('ZADD', P .. ':dead', position, id)
    redis.call('ZADD', P .. ':dead:' .. r.q, position, id)
    finished(id, r)
    if r.k == '1' and r.blk == '1' then
        look(r.q, r.p, r.l)
        return
    end
    if r.k == '1' then
        redis.call('ZADD', P .. ':fallen:' .. r.l, r.pos, id)
    end
    leave_line(id, r.q, r.p, r.l)
end

-- How it went: id, token, outcome, what came of it so far (`-` for no change), due, why. Its place, where it was settled.
steps.settle = function(id, token, outcome, progress, due, why)
    local r = get(id, 'tok', 'q', 'p', 'l', 'k', 'pos', 'place', 'blk', 'bytes', 'caller')
    if not r or r.tok ~= token then
        return { 'lost' }
    elseif r.ph == 'D' or r.ph == 'X' then
        -- It was said before, and the answer was not heard.
        return { 'settled', r.place }
    elseif r.ph ~= 'C' then
        return { 'lost' }
    end
    if progress ~= '-' then
        redis.call('HSET', m(id), 'prog', progress)
    end
    outcomes[outcome](id, r, due, why)
    changed(id)
    return { 'settled', r.place }
end

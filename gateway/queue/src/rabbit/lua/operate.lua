-- What is known, and what operators do.

-- Everything of one message.
steps.card = function(id)
    return redis.call('HMGET', m(id), 'ph', 'q', 'p', 'l', 'k', 'pos', 'v', 'ver', 'due', 'at', 'why',
        'place', 'blk', 'acc', 'labels', 'prog', 'msg', 'bytes')
end

-- Dead letters after this one: queue, or nothing; id, or nothing; how many.
steps.dead = function(q, after, most)
    local key = q == '' and P .. ':dead' or P .. ':dead:' .. q
    local score = after ~= '' and redis.call('ZSCORE', P .. ':dead', after)
    local from = score and '(' .. str(score) or '-inf'
    return redis.call('ZRANGEBYSCORE', key, from, '+inf', 'LIMIT', 0, most)
end

local function no_dead_letter(id, r)
    redis.call('ZREM', P .. ':dead', id)
    redis.call('ZREM', P .. ':dead:' .. r.q, id)
    redis.call('ZREM', P .. ':fallen:' .. r.l, id)
    redis.call('SREM', P .. ':of:' .. r.caller, id)
end

-- Whether a dead letter may be put back: its place in the line then, and its version; `force` is 1 or 0.
steps.put_back = function(id, force)
    local r = get(id, 'k', 'blk', 'l', 'pos', 'left', 'v', 'place')
    if not r or r.ph ~= 'X' then
        return { 'unknown' }
    end
    local v = str(tonumber(r.v) + 1)
    if r.k == '1' and r.blk == '1' then
        return { 'head', r.pos, v, r.place }
    end
    local followed = r.k == '1' and redis.call('ZCOUNT', P .. ':line:' .. r.l, '(' .. r.pos, '+inf') > 0
    if force ~= '1' and (r.left == '1' or followed) then
        return { 'moved on' }
    end
    return { 'behind', next_position(), v, r.place }
end

-- Its copy is there: id, version, position, place.
steps.was_put_back = function(id, v, position, place)
    local r = get(id, 'q', 'p', 'l', 'v', 'place', 'caller', 'bytes', 'acc', 'nb')
    if not r or r.ph ~= 'X' or tonumber(r.v) >= tonumber(v) then
        return 0
    end
    no_dead_letter(id, r)
    wasted(r.place, r.p, r.q)
    if place ~= 'main' then
        redis.call('HINCRBY', of('vault', r.p, r.q), 'live', 1)
    end
    redis.call('HSET', m(id), 'ph', 'W', 'v', v, 'pos', position, 'place', place, 'seen', RUN, 'prog', '',
        'since', '', 'crashes', '', 'left', '', 'at', '', 'due', r.nb == '' and '0' or r.nb)
    count(r.q, 1, r.bytes)
    redis.call('ZADD', P .. ':age:' .. r.q, r.acc, id)
    changed(id)
    enter_line(id, r.q, r.p, r.l, position)
    return 1
end

local function purge(id, r)
    no_dead_letter(id, r)
    forget_dedupe(id)
    redis.call('DEL', m(id))
    if r.place == 'main' then
        redis.call('HSET', m(id), 'ph', 'R', 'v', '1', 'ver', '1')
        redis.call('ZADD', P .. ':refused', now, id)
    else
        wasted(r.place, r.p, r.q)
        redis.call('HSET', of('vault', r.p, r.q), 'urgent', '1')
    end
    tell('m' .. id)
    leave_line(id, r.q, r.p, r.l)
end

local function dead_letter(id)
    local r = get(id, 'q', 'p', 'l', 'place', 'caller')
    return r and r.ph == 'X' and r
end

steps.purge = function(id)
    local r = dead_letter(id)
    if not r then
        return 0
    end
    purge(id, r)
    return 1
end

-- What a caller's finished messages say; how many.
steps.erase = function(caller)
    local erased = 0
    for _, id in ipairs(redis.call('SMEMBERS', P .. ':of:' .. caller)) do
        local r = dead_letter(id)
        if r then
            purge(id, r)
            erased = erased + 1
        elseif redis.call('HDEL', m(id), 'msg') == 1 then
            local d = get(id, 'p', 'q')
            redis.call('HSET', of('vault', d.p, d.q), 'urgent', '1')
            erased = erased + 1
        end
        redis.call('SREM', P .. ':of:' .. caller, id)
    end
    return erased
end

-- Queue, what was said of its pauses before, what is said now, whether it is paused.
steps.pause = function(q, before, after, paused)
    if (redis.call('HGET', P .. ':pauses', q) or '') ~= before then
        return 0
    end
    redis.call('HSET', P .. ':pauses', q, after)
    redis.call(paused == '1' and 'SADD' or 'SREM', P .. ':paused', q)
    redis.call('SADD', P .. ':queues', q)
    tell('q' .. q)
    return 1
end

steps.pauses = function(q)
    return redis.call('HGET', P .. ':pauses', q) or ''
end

steps.depths = function()
    local depths = {}
    for _, q in ipairs(redis.call('SMEMBERS', P .. ':queues')) do
        local counted = redis.call('HMGET', P .. ':count', 'w:' .. q, 'b:' .. q)
        local oldest = redis.call('ZRANGE', P .. ':age:' .. q, 0, 0, 'WITHSCORES')
        depths[#depths + 1] = { q, counted[1] or '0', counted[2] or '0', oldest[2] and str(oldest[2]) or '',
            str(redis.call('ZCARD', P .. ':dead:' .. q)), redis.call('HGET', P .. ':pauses', q) or '' }
    end
    return depths
end

local function older(set, before)
    return redis.call('ZRANGEBYSCORE', P .. ':' .. set, '-inf', '(' .. str(before), 'LIMIT', 0, 1000)
end

-- Deletes what was kept long enough: milliseconds that delivered ones, dead letters, and what is left of refused and
-- unconfirmed ones are kept. How many there were at most of one kind: a thousand are more to come.
steps.sweep = function(delivered, dead, refused)
    local done = older('done', now - tonumber(delivered))
    for _, id in ipairs(done) do
        local caller = redis.call('HGET', m(id), 'caller') or ''
        redis.call('SREM', P .. ':of:' .. caller, id)
        redis.call('DEL', m(id))
        redis.call('ZREM', P .. ':done', id)
    end
    local given_up = older('dead', (now - tonumber(dead)) * 1000)
    for _, id in ipairs(given_up) do
        local r = dead_letter(id)
        if r then
            purge(id, r)
        end
        redis.call('ZREM', P .. ':dead', id)
    end
    local gone = older('refused', now - tonumber(refused))
    for _, id in ipairs(gone) do
        redis.call('DEL', m(id))
        redis.call('ZREM', P .. ':refused', id)
    end
    local begun = older('pending', now - tonumber(refused))
    for _, id in ipairs(begun) do
        local r = get(id, 'q', 'bytes')
        if r and r.ph == 'P' then
            count(r.q, -1, -tonumber(r.bytes))
            redis.call('DEL', m(id))
        end
        redis.call('ZREM', P .. ':pending', id)
    end
    return math.max(#done, #given_up, #gone, #begun)
end

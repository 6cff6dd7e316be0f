-- From a message to its place in a line.

local function forget_dedupe(id)
    local key = redis.call('HGET', m(id), 'dk')
    if key and key ~= '' and redis.call('HGET', P .. ':dedupe:' .. key, 'id') == id then
        redis.call('DEL', P .. ':dedupe:' .. key)
    end
end

-- What an earlier message with the same value means for this one: an answer, or its id to go on with.
local function known(key, fingerprint)
    local d = redis.call('HMGET', P .. ':dedupe:' .. key, 'id', 'fp', 'acc', 'until', 'confirmed')
    if not d[1] or tonumber(d[4]) <= now then
        return nil
    end
    local ph = redis.call('HGET', m(d[1]), 'ph')
    if ph == 'R' then
        return nil
    elseif d[2] ~= fingerprint then
        return { 'conflict' }
    elseif ph and ph ~= 'P' then
        return { 'known', d[1], d[3] }
    elseif d[5] == '1' then
        return { 'gone', d[1], d[3] }
    end
    return nil, d[1], d[3]
end

-- Makes room for a message and claims its value: id, queue, partition, line, whether it has a key,
-- bytes, accepted at, most messages, most bytes, dedupe key, fingerprint, window, milliseconds that its line waits for it.
steps.begin = function(id, q, p, l, k, bytes, acc, messages, most, dk, fp, window, hold)
    local word = 'fresh'
    if dk ~= '' then
        local answer, other, at = known(dk, fp)
        if answer then
            return answer
        elseif other and other ~= id then
            return { 'adopt', other, at }
        elseif other then
            word = 'adopted'
        end
    end
    local before = redis.call('HGET', m(id), 'ph')
    if not before then
        local have = redis.call('HMGET', P .. ':count', 'messages', 'bytes')
        if tonumber(have[1] or '0') + 1 > tonumber(messages)
            or tonumber(have[2] or '0') + tonumber(bytes) > tonumber(most) then
            return { 'full' }
        end
        count(q, 1, bytes)
        redis.call('HSET', m(id), 'bytes', bytes)
    end
    local position = next_position()
    redis.call('HSET', m(id), 'ph', 'P', 'q', q, 'p', p, 'l', l, 'k', k, 'acc', acc,
        'pos', position, 'v', '1', 'ver', '0', 'place', 'main', 'seen', RUN, 'dk', dk,
        'until', str(now + tonumber(hold)))
    redis.call('ZADD', P .. ':pending', now, id)
    enter_line(id, q, p, l, position)
    redis.call('SADD', P .. ':queues', q)
    if dk ~= '' then
        local key = P .. ':dedupe:' .. dk
        local ends = tonumber(acc) + tonumber(window)
        redis.call('HSET', key, 'id', id, 'fp', fp, 'acc', acc, 'until', str(ends), 'confirmed', '0')
        redis.call('PEXPIRE', key, str(math.max(ends - now, 1)))
    end
    return { word, id, acc, position }
end

local function wait(id, labels, message, due, blk, caller)
    redis.call('HSET', m(id), 'ph', 'W', 'labels', labels, 'msg', message, 'due', due, 'nb', due, 'blk', blk,
        'caller', caller, 'since', '', 'seen', RUN)
    redis.call('ZREM', P .. ':pending', id)
    local r = get(id, 'q', 'p', 'l', 'pos', 'acc', 'dk')
    redis.call('ZADD', P .. ':age:' .. r.q, r.acc, id)
    if r.dk ~= '' and redis.call('HGET', P .. ':dedupe:' .. r.dk, 'id') == id then
        redis.call('HSET', P .. ':dedupe:' .. r.dk, 'confirmed', '1')
    end
    changed(id)
    enter_line(id, r.q, r.p, r.l, r.pos)
end

-- The broker has confirmed it: id, labels, message, due, whether it blocks, caller.
steps.add = function(id, labels, message, due, blk, caller)
    local ph = redis.call('HGET', m(id), 'ph')
    if ph == 'P' then
        wait(id, labels, message, due, blk, caller)
    end
    return ph or 'none'
end

-- Its client was told that it was not accepted: id, whether it may have been sent.
steps.refuse = function(id, sent)
    local r = get(id, 'q', 'p', 'l', 'bytes', 'prog', 'crashes')
    if r and r.ph ~= 'P' and not (r.ph == 'W' and r.prog == '' and r.crashes == '') then
        return r.ph == 'R' and 'refused' or 'late'
    end
    if r then
        forget_dedupe(id)
        count(r.q, -1, -tonumber(r.bytes))
        redis.call('ZREM', P .. ':pending', id)
        redis.call('ZREM', P .. ':age:' .. r.q, id)
        redis.call('DEL', m(id))
        leave_line(id, r.q, r.p, r.l)
    end
    if sent == '1' then
        redis.call('HSET', m(id), 'ph', 'R', 'v', '1', 'ver', '1')
        redis.call('ZADD', P .. ':refused', now, id)
    end
    return 'refused'
end

-- What was found at the broker and is not known here: as `begin` and `add` together, and the version,
-- place, and, of a dead letter, why and when, and what came of it so far.
steps.restore = function(id, q, p, l, k, bytes, acc, dk, fp, window, labels, message, due, blk, caller,
    position, v, place, why, at, progress)
    local before = get(id, 'bytes')
    if before and before.ph ~= 'P' then
        return 'known'
    end
    if before then
        count(q, -1, -tonumber(before.bytes))
    end
    not_before_position(position)
    redis.call('SADD', P .. ':queues', q)
    redis.call('HSET', m(id), 'q', q, 'p', p, 'l', l, 'k', k, 'bytes', bytes, 'acc', acc, 'pos', position,
        'v', v, 'ver', '0', 'place', place, 'dk', dk, 'prog', progress)
    if dk ~= '' and redis.call('EXISTS', P .. ':dedupe:' .. dk) == 0 and tonumber(acc) + tonumber(window) > now then
        local ends = tonumber(acc) + tonumber(window)
        redis.call('HSET', P .. ':dedupe:' .. dk, 'id', id, 'fp', fp, 'acc', acc, 'until', str(ends), 'confirmed', '1')
        redis.call('PEXPIRE', P .. ':dedupe:' .. dk, str(ends - now))
    end
    if why == '' then
        count(q, 1, bytes)
        wait(id, labels, message, due, blk, caller)
        return 'waits'
    end
    -- Whether its key has moved on since is not known: it is said that it has.
    redis.call('HSET', m(id), 'ph', 'X', 'labels', labels, 'msg', message, 'due', '0', 'nb', due, 'blk', blk,
        'caller', caller, 'seen', RUN, 'why', why, 'at', at, 'left', k)
    redis.call('ZREM', P .. ':pending', id)
    redis.call('ZADD', P .. ':dead', tonumber(at) * 1000, id)
    redis.call('ZADD', P .. ':dead:' .. q, tonumber(at) * 1000, id)
    is_of(caller, id)
    changed(id)
    if blk == '1' then
        enter_line(id, q, p, l, position)
    end
    return 'dead'
end

-- What copies at the broker are good for. Milliseconds that a publisher has to confirm; then for each:
-- id, version, place, partition, queue.
steps.arrived = function(grace, ...)
    local copies, answers = { ... }, {}
    for i = 1, #copies, 5 do
        local id, v, place = copies[i], tonumber(copies[i + 1]), copies[i + 2]
        local r = get(id, 'v', 'place', 'seen', 'at')
        local answer
        if not r and place ~= 'main' and redis.call('GET', of('whole', copies[i + 3], copies[i + 4])) == RUN then
            -- Everything that lives is known: it was purged.
            answer = 'garbage'
        elseif not r then
            answer = 'restore'
        elseif r.ph == 'P' then
            local begun = tonumber(redis.call('ZSCORE', P .. ':pending', id) or '0')
            answer = (begun + tonumber(grace) > now) and 'pending' or 'restore'
        elseif r.ph == 'D' or r.ph == 'R' or v < tonumber(r.v) then
            answer = 'garbage'
        elseif v > tonumber(r.v) and r.ph == 'X' then
            answer = 'put back'
        elseif v > tonumber(r.v) then
            redis.call('HSET', m(id), 'v', v, 'place', place, 'seen', RUN)
            answer = 'keep'
        elseif r.place == place then
            redis.call('HSET', m(id), 'seen', RUN)
            answer = 'keep'
        elseif r.seen ~= RUN then
            redis.call('HSET', m(id), 'place', place, 'seen', RUN)
            answer = 'keep'
        else
            answer = 'garbage'
        end
        if answer == 'keep' and place == 'main' and r.ph == 'X' then
            answer = 'bury'
        end
        answers[#answers + 1] = answer
    end
    return answers
end

-- A copy was laid into the vault: id, version, from where, its number.
steps.placed = function(id, v, from, copy)
    local r = get(id, 'v', 'place', 'p', 'q')
    local lives = r and (r.ph == 'W' or r.ph == 'C' or r.ph == 'X')
    if not lives or r.v ~= v or r.place ~= from then
        return 0
    end
    redis.call('HSET', m(id), 'place', copy, 'seen', RUN)
    if from == 'main' then
        redis.call('HINCRBY', of('vault', r.p, r.q), 'live', 1)
    end
    return 1
end

-- The vault of a partition was gone through: partition, queue, how many live there.
steps.rotated = function(p, q, live)
    redis.call('HSET', of('vault', p, q), 'live', live, 'garbage', '0')
    redis.call('HDEL', of('vault', p, q), 'urgent')
    return 1
end

steps.vault = function(p, q)
    return redis.call('HMGET', of('vault', p, q), 'live', 'garbage', 'urgent')
end

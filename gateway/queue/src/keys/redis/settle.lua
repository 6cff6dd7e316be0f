-- Renews a claim, finishes or abandons what it was made for.
--
-- KEYS: the key.
-- ARGV: token; what to do; for `renew`, milliseconds for which the claim holds
--   from now on; for `finish`, milliseconds for which the key is kept, and the
--   answer.
-- Returns 1, or 0 where the claim is somebody else's by now.

if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
    return 0
end

if ARGV[2] == 'renew' then
    local clock = redis.call('TIME')
    local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
    redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[3])))
elseif ARGV[2] == 'finish' then
    redis.call('HSET', KEYS[1], 'answer', ARGV[4])
    redis.call('HDEL', KEYS[1], 'token', 'until')
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
    redis.call('DEL', KEYS[1])
end
return 1

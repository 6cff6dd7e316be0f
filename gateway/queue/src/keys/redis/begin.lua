-- Begins what a key stands for, unless it was begun before.
--
-- A key is a hash: its fingerprint; while it is worked on, the token of the
-- claim and until when that holds (milliseconds since 1970, by this server's
-- clock); afterwards its answer.
--
-- KEYS: the key.
-- ARGV: fingerprint; token; milliseconds for which a claim holds; milliseconds
--   for which the key is kept; 1 where it may be done twice.
-- Returns a word, and the answer where there is one.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local known = redis.call('HMGET', KEYS[1], 'fingerprint', 'answer', 'until')

if known[1] then
    if known[1] ~= ARGV[1] then
        return {'mismatch'}
    elseif known[2] then
        return {'finished', known[2]}
    elseif tonumber(known[3] or '0') > now then
        return {'in flight'}
    elseif ARGV[5] ~= '1' then
        return {'unknown'}
    end
end

redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'token', ARGV[2],
    'until', string.format('%.0f', now + tonumber(ARGV[3])))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'fresh'}

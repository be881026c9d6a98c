#!lua
-- R1.3-11: one lease, checked against source and total in one step. The same id again is the same lease, with a sequence of
-- its own: a late release of the earlier grant does not end it.
-- KEYS  clock, lease:S, lease:total, limit:S, limit:total, count:S, count:total, quota, reservation:I, heartbeat:I
-- ARGV  version, run, grace, S, I, ttl, urgent (0|1), camera, user, client ip, holder, identity
-- Gives code, grace left, epoch, reaped, count, limit, total, total's limit, left, sequence
local source, id = ARGV[4], ARGV[5]
if #KEYS ~= 10 or #ARGV ~= 12 then return {MALFORMED, 0} end
if not is_source(source) then return {MALFORMED, 4} end
if not is_id(id) then return {MALFORMED, 5} end
local ttl = whole(ARGV[6], 1, MAX_MS)
if not ttl then return {MALFORMED, 6} end
local urgent = whole(ARGV[7], 0, 1)
if not urgent then return {MALFORMED, 7} end
for text = 8, 12 do
  if not is_text(ARGV[text]) then return {MALFORMED, text} end
end
if not (names(2, 'lease:' .. source) and names(3, 'lease:total') and names(4, 'limit:' .. source)
    and names(5, 'limit:total') and names(6, 'count:' .. source) and names(7, 'count:total')
    and names(8, 'quota') and names(9, 'reservation:' .. id) and names(10, 'heartbeat:' .. id)) then
  return {MALFORMED, 0}
end
local limit, total_limit = tonumber(redis.call('GET', KEYS[4])), tonumber(redis.call('GET', KEYS[5]))
if not (limit and total_limit) then return {UNKNOWN_SOURCE, 0} end

local clock = step()
local reaped = reap(KEYS[2], clock)
reap(KEYS[3], clock)
local count, total = mirror(KEYS[2], KEYS[6]), mirror(KEYS[3], KEYS[7])
local held = redis.call('ZSCORE', KEYS[2], id)
local code, left, seq = DONE, 0, 0
if held then
  code = AGAIN
  left = tonumber(held) - clock.now
elseif redis.call('ZSCORE', KEYS[3], id) then
  code = ELSEWHERE
elseif clock.grace_left > 0 then
  code = GRACE
elseif count >= limit then
  code = SOURCE_FULL
elseif urgent == 0 and count >= limit - (tonumber(redis.call('HGET', KEYS[8], 'urgent:' .. source)) or 0) then
  code = URGENT_ONLY
elseif total >= total_limit then
  code = TOTAL_FULL
else
  left = extend(KEYS[2], KEYS[3], id, nil, ttl, clock)
  count, total = mirror(KEYS[2], KEYS[6]), mirror(KEYS[3], KEYS[7])
end
if code == AGAIN or code == DONE then seq = next_seq() end
if code == AGAIN and redis.call('HGET', KEYS[9], 'kind') == 'stream' then
  redis.call('HSET', KEYS[9], 'seq', seq)
elseif seq > 0 then
  keep(KEYS[9], ttl, left, clock, 'camera_id', ARGV[8], 'source', source, 'user_id', ARGV[9],
    'reserved_at', instant(clock.wall), 'client_ip', ARGV[10], 'holder', ARGV[11], 'identity', ARGV[12],
    'kind', 'stream', 'seq', seq)
  beat(KEYS[10], ttl, left, clock)
end
return {code, clock.grace_left, clock.epoch, reaped, count, limit, total, total_limit, left, seq}

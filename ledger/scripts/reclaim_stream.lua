#!lua flags=allow-oom
-- A holder says again what it was granted. In grace a lease that is not there comes back, over the limit if need be;
-- at any time one that is there is renewed and described anew: a used token of a block becomes a stream so.
-- KEYS  clock, lease:S, lease:total, limit:S, limit:total, count:S, count:total, reservation:I, heartbeat:I
-- ARGV  version, run, grace, S, I, ttl, sequence, camera, user, client ip, holder, identity, reserved at
-- Gives code, grace left, epoch, reaped, count, limit, total, total's limit (-1: none known), left, sequence
local source, id = ARGV[4], ARGV[5]
if #KEYS ~= 9 or #ARGV ~= 13 then return {MALFORMED, 0} end
if not is_source(source) then return {MALFORMED, 4} end
if not is_id(id) then return {MALFORMED, 5} end
local ttl = whole(ARGV[6], 1, MAX_MS)
if not ttl then return {MALFORMED, 6} end
local seq = whole(ARGV[7], 1, MAX_WHOLE)
if not seq then return {MALFORMED, 7} end
for text = 8, 13 do
  if not is_text(ARGV[text]) then return {MALFORMED, text} end
end
if not (names(2, 'lease:' .. source) and names(3, 'lease:total') and names(4, 'limit:' .. source)
    and names(5, 'limit:total') and names(6, 'count:' .. source) and names(7, 'count:total')
    and names(8, 'reservation:' .. id) and names(9, 'heartbeat:' .. id)) then
  return {MALFORMED, 0}
end

local clock = step()
local reaped = reap(KEYS[2], clock)
reap(KEYS[3], clock)
local held = redis.call('ZSCORE', KEYS[2], id)
local code, left = LOST, 0
if held then
  code = AGAIN
elseif redis.call('ZSCORE', KEYS[3], id) then
  code = ELSEWHERE
elseif clock.grace_left > 0 then
  code = DONE
end
if code == AGAIN or code == DONE then
  left = extend(KEYS[2], KEYS[3], id, held, ttl, clock)
  seq = math.max(seq, tonumber(redis.call('HGET', KEYS[8], 'seq')) or 0)
  if seq > clock.seq then redis.call('HSET', KEYS[1], 'seq', seq) end
  keep(KEYS[8], ttl, left, clock, 'camera_id', ARGV[8], 'source', source, 'user_id', ARGV[9],
    'reserved_at', ARGV[13], 'client_ip', ARGV[10], 'holder', ARGV[11], 'identity', ARGV[12], 'kind', 'stream', 'seq', seq)
  beat(KEYS[9], ttl, left, clock)
else
  seq = 0
end
return {code, clock.grace_left, clock.epoch, reaped, mirror(KEYS[2], KEYS[6]),
  tonumber(redis.call('GET', KEYS[4])) or -1, mirror(KEYS[3], KEYS[7]), tonumber(redis.call('GET', KEYS[5])) or -1,
  left, seq}

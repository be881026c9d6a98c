#!lua
-- Tokens for a service replica, to grant from while this server is away. Each is a lease like any other, so a block of
-- n counts as n used. Size, from slack alone (research/quota.md §2.6): a tenth of what is free, none above 80 % use,
-- none of a limit up to 20; it shrinks at each renewal as the slack does.
-- KEYS  clock, lease:S, lease:total, limit:S, limit:total, count:S, count:total, quota, then reservation:I of each id
-- ARGV  version, run, grace, S, ttl, most wanted, holder, number of tokens held, their ids, then ids for new ones
-- Gives code, grace left, epoch, reaped, count, limit, total, total's limit, ttl, then the sequence of each id (0: not held)
local FRACTION, SMALL = 10, 20
local source, holder = ARGV[4], ARGV[7]
if #ARGV < 8 or #KEYS ~= #ARGV or #KEYS > 1008 then return {MALFORMED, 0} end
if not is_source(source) then return {MALFORMED, 4} end
local ttl = whole(ARGV[5], 1, MAX_MS)
if not ttl then return {MALFORMED, 5} end
local want = whole(ARGV[6], 0, 1000)
if not want then return {MALFORMED, 6} end
if not is_text(holder) then return {MALFORMED, 7} end
local old = whole(ARGV[8], 0, #ARGV - 8)
if not old then return {MALFORMED, 8} end
if not (names(2, 'lease:' .. source) and names(3, 'lease:total') and names(4, 'limit:' .. source)
    and names(5, 'limit:total') and names(6, 'count:' .. source) and names(7, 'count:total') and names(8, 'quota')) then
  return {MALFORMED, 0}
end
for index = 9, #ARGV do
  if not is_id(ARGV[index]) then return {MALFORMED, index} end
  if not names(index, 'reservation:' .. ARGV[index]) then return {MALFORMED, 0} end
end
local limit, total_limit = tonumber(redis.call('GET', KEYS[4])), tonumber(redis.call('GET', KEYS[5]))
if not (limit and total_limit) then return {UNKNOWN_SOURCE, 0} end

local clock = step()
local reaped = reap(KEYS[2], clock)
reap(KEYS[3], clock)
local count, total = redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3])
local answer = {DONE, clock.grace_left, clock.epoch, reaped, 0, limit, 0, total_limit, ttl}

-- A token that has become a stream is no longer the block's, whoever still lists it. An id counts once.
local deadlines, own, seen = {}, 0, {}
for index = 9, 8 + old do
  local id = ARGV[index]
  local held = redis.call('ZSCORE', KEYS[2], id)
  if held and not seen[id] and redis.call('HGET', KEYS[index], 'kind') ~= 'stream' then
    deadlines[index] = held
    own = own + 1
  end
  seen[id] = true
end
local kept_back = tonumber(redis.call('HGET', KEYS[8], 'urgent:' .. source)) or 0
local size = 0
if limit > SMALL and (count - own) * 10 <= limit * 8 then
  local free = math.min(limit - kept_back - count, total_limit - total) + own
  size = math.min(want, math.max(math.floor(free / FRACTION), 0))
end
local kept = 0
for index = 9, #ARGV do
  local id, held, seq = ARGV[index], deadlines[index], 0
  local token = held
  if index > 8 + old then
    token = clock.grace_left == 0 and not seen[id] and not redis.call('ZSCORE', KEYS[3], id)
    seen[id] = true
  end
  if token and kept < size then
    kept = kept + 1
    local left = extend(KEYS[2], KEYS[3], id, held, ttl, clock)
    seq = held and tonumber(redis.call('HGET', KEYS[index], 'seq')) or next_seq()
    if not held then redis.call('DEL', KEYS[index]) end
    keep(KEYS[index], ttl, left, clock, 'source', source, 'holder', holder, 'kind', 'block', 'seq', seq)
  elseif held then
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    redis.call('DEL', KEYS[index])
  end
  answer[index + 1] = seq
end
answer[5], answer[7] = mirror(KEYS[2], KEYS[6]), mirror(KEYS[3], KEYS[7])
return answer

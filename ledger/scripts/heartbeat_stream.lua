#!lua flags=allow-oom
-- R1.3-13: renews many leases of many sources. Never shortens one.
-- KEYS  clock, lease:total, count:total, then lease:S, count:S of each source, then reservation:I, heartbeat:I of each id
-- ARGV  version, run, grace, ttl, number of sources, their names, then id and place of its source (from 1) of each
-- Gives 0, grace left, epoch, reaped, then code and left of each id
local ttl = whole(ARGV[4], 1, MAX_MS)
if not ttl then return {MALFORMED, 4} end
local sources = whole(ARGV[5], 0, 1000)
if not sources then return {MALFORMED, 5} end
local ids = (#ARGV - 5 - sources) / 2
if ids < 0 or ids ~= math.floor(ids) or #KEYS ~= 3 + 2 * sources + 2 * ids then return {MALFORMED, 0} end
if not (names(2, 'lease:total') and names(3, 'count:total')) then return {MALFORMED, 0} end
for place = 1, sources do
  local source, key = ARGV[5 + place], 2 + 2 * place
  if not is_source(source) then return {MALFORMED, 5 + place} end
  if not (names(key, 'lease:' .. source) and names(key + 1, 'count:' .. source)) then return {MALFORMED, 0} end
end
for index = 1, ids do
  local argument, key = 4 + sources + 2 * index, 2 + 2 * sources + 2 * index
  local id = ARGV[argument]
  if not is_id(id) then return {MALFORMED, argument} end
  if not whole(ARGV[argument + 1], 1, sources) then return {MALFORMED, argument + 1} end
  if not (names(key, 'reservation:' .. id) and names(key + 1, 'heartbeat:' .. id)) then return {MALFORMED, 0} end
end

local clock = step()
local reaped = 0
for place = 1, sources do
  local key = 2 + 2 * place
  reaped = reaped + reap(KEYS[key], clock)
  mirror(KEYS[key], KEYS[key + 1])
end
reap(KEYS[2], clock)
mirror(KEYS[2], KEYS[3])
local answer = {DONE, clock.grace_left, clock.epoch, reaped}
for index = 1, ids do
  local argument, key = 4 + sources + 2 * index, 2 + 2 * sources + 2 * index
  local id, set = ARGV[argument], KEYS[2 + 2 * tonumber(ARGV[argument + 1])]
  local held = redis.call('ZSCORE', set, id)
  local code, left = LOST, 0
  if held then
    left = extend(set, KEYS[2], id, held, ttl, clock)
    code = BARE
    -- Of a lease whose details the server's clock has ended, only its holder can say them again.
    if redis.call('PEXPIRE', KEYS[key], left + ttl) == 1 then
      code = DONE
      redis.call('HSET', KEYS[key], 'expires_at', instant(clock.wall + left))
    end
    beat(KEYS[key + 1], ttl, left, clock)
  elseif clock.grace_left > 0 then
    code = RECLAIM
  end
  answer[3 + 2 * index] = code
  answer[4 + 2 * index] = left
end
return answer

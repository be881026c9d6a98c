#!lua flags=allow-oom
-- R1.3-12: ends a lease. One that is not there is no error, and nothing is counted down. A call that comes late must not
-- end what was granted anew under the same id: it names the sequence of the grant that it ends.
-- KEYS  clock, lease:S, lease:total, count:S, count:total, reservation:I, heartbeat:I
-- ARGV  version, run, grace, S, I, sequence (0: whichever)
-- Gives 0, grace left, epoch, reaped, count, total, removed (0|1)
local source, id = ARGV[4], ARGV[5]
if #KEYS ~= 7 or #ARGV ~= 6 then return {MALFORMED, 0} end
if not is_source(source) then return {MALFORMED, 4} end
if not is_id(id) then return {MALFORMED, 5} end
local seq = whole(ARGV[6], 0, MAX_WHOLE)
if not seq then return {MALFORMED, 6} end
if not (names(2, 'lease:' .. source) and names(3, 'lease:total') and names(4, 'count:' .. source)
    and names(5, 'count:total') and names(6, 'reservation:' .. id) and names(7, 'heartbeat:' .. id)) then
  return {MALFORMED, 0}
end

local clock = step()
local reaped = reap(KEYS[2], clock)
reap(KEYS[3], clock)
local removed = 0
if seq == 0 or seq == tonumber(redis.call('HGET', KEYS[6], 'seq')) then
  removed = redis.call('ZREM', KEYS[2], id)
end
if removed == 1 then
  redis.call('ZREM', KEYS[3], id)
  redis.call('DEL', KEYS[6], KEYS[7])
end
return {DONE, clock.grace_left, clock.epoch, reaped, mirror(KEYS[2], KEYS[4]), mirror(KEYS[3], KEYS[5]), removed}

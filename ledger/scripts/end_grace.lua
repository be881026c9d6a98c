#!lua flags=allow-oom
-- Every holder has reported: grants go on. The epoch says which grace is meant, so that a late call ends no newer one.
-- KEYS  clock
-- ARGV  version, run, grace, epoch
-- Gives 0 or STALE, grace left, epoch
if #KEYS ~= 1 or #ARGV ~= 4 then return {MALFORMED, 0} end
local epoch = whole(ARGV[4], 0, MAX_WHOLE)
if not epoch then return {MALFORMED, 4} end

local clock = step()
if epoch ~= clock.epoch then return {STALE, clock.grace_left, clock.epoch} end
redis.call('HSET', KEYS[1], 'grace_end', 0)
return {DONE, 0, epoch}

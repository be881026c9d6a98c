#!lua flags=allow-oom
-- R1.3-05, -20: ends what is over; with no source it is the tick that keeps the lease clock going.
-- KEYS  clock, lease:total, count:total, then lease:S, count:S, stats:S:history of each source
-- ARGV  version, run, grace, samples to keep of the history (0: take none), names of the sources
-- Gives 0, grace left, epoch, reaped, total, then the count of each source
local samples = whole(ARGV[4], 0, 1000000)
if not samples then return {MALFORMED, 4} end
local sources = #ARGV - 4
if #KEYS ~= 3 + 3 * sources then return {MALFORMED, 0} end
if not (names(2, 'lease:total') and names(3, 'count:total')) then return {MALFORMED, 0} end
for place = 1, sources do
  local source, key = ARGV[4 + place], 1 + 3 * place
  if not is_source(source) then return {MALFORMED, 4 + place} end
  if not (names(key, 'lease:' .. source) and names(key + 1, 'count:' .. source)
      and names(key + 2, 'stats:' .. source .. ':history')) then
    return {MALFORMED, 0}
  end
end

local clock = step()
reap(KEYS[2], clock)
local answer = {DONE, clock.grace_left, clock.epoch, 0, mirror(KEYS[2], KEYS[3])}
for place = 1, sources do
  local key = 1 + 3 * place
  answer[4] = answer[4] + reap(KEYS[key], clock)
  local count = mirror(KEYS[key], KEYS[key + 1])
  if samples > 0 then
    -- One sample a second, whoever takes it.
    local second = math.floor(clock.wall / 1000)
    redis.call('ZREMRANGEBYSCORE', KEYS[key + 2], second, second)
    redis.call('ZADD', KEYS[key + 2], second, second .. ':' .. count)
    redis.call('ZREMRANGEBYRANK', KEYS[key + 2], 0, -1 - samples)
  end
  answer[5 + place] = count
end
return answer

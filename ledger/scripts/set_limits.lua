#!lua
-- R1.3-07: the limits of a generation of StreamQuota, all in one step. Lowered ones end nothing.
-- KEYS  clock, quota, limit:total, then limit:S of each source
-- ARGV  version, run, grace, generation, total, the sources known so far (joined by commas), then name, limit
--       ('gone': forget it) and slots kept for urgent callers of each source
-- Gives 0 or STALE, grace left, epoch, the generation in force
local sources = (#ARGV - 6) / 3
if sources < 0 or sources ~= math.floor(sources) or #KEYS ~= 3 + sources then return {MALFORMED, 0} end
local generation, total = whole(ARGV[4], 0, MAX_WHOLE), whole(ARGV[5], 0, MAX_WHOLE)
if not generation then return {MALFORMED, 4} end
if not total then return {MALFORMED, 5} end
if not (names(2, 'quota') and names(3, 'limit:total')) then return {MALFORMED, 0} end
for place = 1, sources do
  local argument = 4 + 3 * place
  local source, limit = ARGV[argument], ARGV[argument + 1]
  if not is_source(source) then return {MALFORMED, argument} end
  if not names(3 + place, 'limit:' .. source) then return {MALFORMED, 0} end
  local slots = limit == 'gone' and 0 or whole(limit, 0, MAX_WHOLE)
  if not slots then return {MALFORMED, argument + 1} end
  if not whole(ARGV[argument + 2], 0, slots) then return {MALFORMED, argument + 2} end
end

local clock = step()
local kept = redis.call('HMGET', KEYS[2], 'generation', 'sources')
local before = tonumber(kept[1]) or 0
-- Another list than the caller read: a source that it does not know of would keep its limit for ever.
if generation < before or ARGV[6] ~= (kept[2] or '') then
  return {STALE, clock.grace_left, clock.epoch, before}
end
local known = {}
redis.call('SET', KEYS[3], total)
for place = 1, sources do
  local source, limit, urgent = ARGV[4 + 3 * place], ARGV[5 + 3 * place], ARGV[6 + 3 * place]
  if limit == 'gone' then
    redis.call('DEL', KEYS[3 + place])
    redis.call('HDEL', KEYS[2], 'urgent:' .. source)
  else
    redis.call('SET', KEYS[3 + place], tonumber(limit))
    redis.call('HSET', KEYS[2], 'urgent:' .. source, tonumber(urgent))
    known[#known + 1] = source
  end
end
redis.call('HSET', KEYS[2], 'generation', generation, 'sources', table.concat(known, ','))
return {DONE, clock.grace_left, clock.epoch, generation}

#!lua flags=no-writes
-- R1.3-17: what is live, read and not moved on: for replicas too, whose run id is not asked for.
-- KEYS  clock, quota, lease:total, limit:total, then lease:S, limit:S of each source
-- ARGV  version, run, grace, names of the sources
-- Gives 0, grace left, epoch, the server's time in ms, generation, total, its limit (-1: none known), then count, limit and
--       slots kept for urgent callers of each source
local sources = #ARGV - 3
if #KEYS ~= 4 + 2 * sources then return {MALFORMED, 0} end
if not (names(2, 'quota') and names(3, 'lease:total') and names(4, 'limit:total')) then return {MALFORMED, 0} end
for place = 1, sources do
  local source, key = ARGV[3 + place], 3 + 2 * place
  if not is_source(source) then return {MALFORMED, 3 + place} end
  if not (names(key, 'lease:' .. source) and names(key + 1, 'limit:' .. source)) then return {MALFORMED, 0} end
end

local wall = wall_ms()
local kept = redis.call('HMGET', KEYS[1], 'last', 'offset', 'grace_end', 'epoch')
local now = wall
if kept[1] then now = lease_time(wall, tonumber(kept[1]), tonumber(kept[2])) end
local function live(set) return redis.call('ZCOUNT', set, '(' .. now, '+inf') end
local answer = {
  DONE, math.max((tonumber(kept[3]) or 0) - now, 0), tonumber(kept[4]) or 0, wall,
  tonumber(redis.call('HGET', KEYS[2], 'generation')) or 0, live(KEYS[3]), tonumber(redis.call('GET', KEYS[4])) or -1,
}
for place = 1, sources do
  local key = 3 + 2 * place
  answer[5 + 3 * place] = live(KEYS[key])
  answer[6 + 3 * place] = tonumber(redis.call('GET', KEYS[key + 1])) or -1
  answer[7 + 3 * place] = tonumber(redis.call('HGET', KEYS[2], 'urgent:' .. ARGV[3 + place])) or 0
end
return answer

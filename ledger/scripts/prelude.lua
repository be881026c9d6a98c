-- What every script begins with, put between its first line and its body. README.md says what each answers.
-- KEYS[1] is the clock; ARGV[1] to [3] are the version, the server's run id ('' : read it here) and the grace in ms.
local VERSION = 1
-- The lease clock goes at most this far at a time: a pause or a step of the server's clock ends no lease.
local STEP_MS = 5000
local MAX_MS = 86400000
local MAX_WHOLE = 8000000000000000

local DONE, AGAIN = 0, 1
local SOURCE_FULL, TOTAL_FULL, URGENT_ONLY, GRACE = 2, 3, 4, 5
local LOST, RECLAIM, ELSEWHERE, BARE, STALE = 6, 7, 8, 9, 10
local MALFORMED, WRONG_VERSION, UNKNOWN_SOURCE = -1, -2, -3

-- A whole number written in digits alone, or nil.
local function whole(text, low, high)
  if type(text) ~= 'string' or #text > 16 or not string.find(text, '^%d+$') then return nil end
  local number = tonumber(text)
  if number < low or number > high then return nil end
  return number
end

local function is_source(text)
  return #text <= 63 and text ~= 'total' and string.find(text, '^[%w_-]+$') ~= nil
end

local function is_id(text)
  return #text == 36 and string.find(text, '^%x+%-%x+%-%x+%-%x+%-%x+$') ~= nil
end

local function is_text(text)
  return #text <= 256
end

if ARGV[1] ~= tostring(VERSION) then return {WRONG_VERSION, VERSION} end
local PREFIX = string.match(KEYS[1] or '', '^(.*)stream:clock$')
if not PREFIX then return {MALFORMED, 0} end
if not string.find(ARGV[2] or '?', '^%x*$') then return {MALFORMED, 2} end
local GRACE_MS = whole(ARGV[3], 0, MAX_MS)
if not GRACE_MS then return {MALFORMED, 3} end

-- A key that is not the one its argument names would count in one source and check another.
local function names(index, name)
  return KEYS[index] == PREFIX .. 'stream:' .. name
end

local function wall_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The lease clock for a time of the server's, and whether time went by that it does not count.
local function lease_time(wall, last, offset)
  local now = wall - offset
  if now < last then return last, false end
  if now > last + STEP_MS then return last + STEP_MS, true end
  return now, false
end

-- Moves the clock on. Data of another server, none at all, or a gap: grace begins, in this very step.
local function step()
  local wall = wall_ms()
  local kept = redis.call('HMGET', KEYS[1], 'last', 'offset', 'run', 'grace_end', 'epoch', 'seq')
  local run = ARGV[2]
  if run == '' then run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') end
  local last = tonumber(kept[1])
  local now, gap = wall, false
  if last then now, gap = lease_time(wall, last, tonumber(kept[2])) end
  local clock = {
    wall = wall,
    now = now,
    grace_end = tonumber(kept[4]) or 0,
    epoch = tonumber(kept[5]) or 0,
    seq = tonumber(kept[6]) or 0,
  }
  if gap or not last or kept[3] ~= run then
    -- By the server's time, so that an empty dataset does not begin with the epoch that the lost one had.
    clock.epoch = math.max(clock.epoch + 1, wall)
    clock.grace_end = now + GRACE_MS
    -- Above every sequence that the lost end of a history can have given out.
    clock.seq = math.max(clock.seq, wall * 1000)
    redis.call('HSET', KEYS[1], 'last', now, 'offset', wall - now, 'run', run,
      'grace_end', clock.grace_end, 'epoch', clock.epoch, 'seq', clock.seq)
  else
    redis.call('HSET', KEYS[1], 'last', now, 'offset', wall - now)
  end
  clock.grace_left = math.max(clock.grace_end - now, 0)
  return clock
end

local function next_seq()
  return redis.call('HINCRBY', KEYS[1], 'seq', 1)
end

local function reap(set, clock)
  return redis.call('ZREMRANGEBYSCORE', set, '-inf', clock.now)
end

-- The count that people read is what the set holds, whatever it was before.
local function mirror(set, count)
  local members = redis.call('ZCARD', set)
  redis.call('SET', count, members)
  return members
end

-- The later of a lease's deadline (nil: none yet) and the one that this call gives it, in both sets.
local function extend(source_set, total_set, id, held, ttl, clock)
  local deadline = math.max(tonumber(held) or 0, clock.now + ttl)
  redis.call('ZADD', source_set, deadline, id)
  redis.call('ZADD', total_set, deadline, id)
  return deadline - clock.now
end

-- RFC 3339 in UTC; days to a date of the Gregorian calendar by years that begin in March.
local function instant(ms)
  local days = math.floor(ms / 86400000)
  local second = math.floor(ms / 1000) - days * 86400
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local of_era = shifted - era * 146097
  local year = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local march = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * march + 2) / 5) + 1
  local month = march < 10 and march + 3 or march - 9
  year = year + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02dZ', year, month, day,
    math.floor(second / 3600), math.floor(second / 60) % 60, second % 60)
end

-- Keeps what people see of a lease for a time to live longer than the lease; nothing is decided by it but its sequence.
local function keep(reservation, ttl, left, clock, ...)
  redis.call('HSET', reservation, 'expires_at', instant(clock.wall + left), ...)
  redis.call('PEXPIRE', reservation, left + ttl)
end

local function beat(heartbeat, ttl, left, clock)
  redis.call('SET', heartbeat, instant(clock.wall), 'PX', left + ttl)
end

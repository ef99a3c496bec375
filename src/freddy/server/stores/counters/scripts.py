"""What Redis and Valkey do at a stroke, in Lua. The rules are those of `window` and `memory`.

Every script is told its keys, all of one organization and so of one hash slot; see `redis` for their names. Numbers
stay below 2⁵³, where Lua's are exact. https://valkey.io/topics/eval-intro/
"""

from hashlib import sha1

from msgspec import Struct

from freddy.server.stores.counters.memory import RUN_WAIT
from freddy.server.stores.counters.window import COARSE, FINE, MINUTE


class Script(Struct, frozen=True):
    text: str
    digest: str


def _script(*parts: str) -> Script:
    text = "".join(parts)
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_TIME = """
local function time(given)
  if given ~= '' then return tonumber(given) end
  local told = redis.call('TIME')
  return tonumber(told[1]) * 1000 + tonumber(told[2]) / 1000
end
local now = time(ARGV[1])
local id = ARGV[2]
local function whole(number) return string.format('%.0f', number) end
"""

_WINDOW = f"""
local MINUTE, FINE, COARSE = {MINUTE}, {FINE}, {COARSE}

local function look(key)
  local window = {{key = key, total = 0, newest = 0, entries = {{}}}}
  local flat, over = redis.call('HGETALL', key), {{}}
  for place = 1, #flat, 2 do
    local mark, amount = tonumber(flat[place]), tonumber(flat[place + 1])
    if mark + MINUTE <= now then
      over[#over + 1] = flat[place]
    else
      window.total = window.total + amount
      window.newest = math.max(window.newest, mark)
      window.entries[#window.entries + 1] = {{mark, amount}}
    end
  end
  if #over > 0 then redis.call('HDEL', key, unpack(over)) end
  return window
end

local function add(window, amount)
  local mark = math.ceil(now)
  if #window.entries >= FINE then mark = (math.floor(now / COARSE) + 1) * COARSE end
  mark = math.max(mark, window.newest)
  window.newest, window.total = mark, window.total + amount
  redis.call('HINCRBY', window.key, whole(mark), whole(amount))
  redis.call('PEXPIRE', window.key, MINUTE + 2 * COARSE)
  return mark
end

local function wait(window, room)
  if room < 0 then return -1 end
  table.sort(window.entries, function(one, other) return one[1] < other[1] end)
  local left = window.total
  for _, entry in ipairs(window.entries) do
    left = left - entry[2]
    if left <= room then return math.ceil(entry[1] + MINUTE - now) end
  end
  return 0
end

local function reset(window)
  if window.total == 0 then return 0 end
  return math.ceil(window.newest + MINUTE - now)
end
"""

TAKE = _script(
    _TIME,
    _WINDOW,
    f"local RUN_WAIT = {RUN_WAIT}",
    """
-- KEYS: the mark of a settled one; for each holder requests, tokens, runs, budget, holds.
-- ARGV: time, id, lease, tokens, cost or -1, life of a budget; for each holder its bounds or -1.
local lease, tokens, cost, life = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
-- It came late: who asked has given up, and given back what this would take.
if redis.call('EXISTS', KEYS[1]) == 1 then return {2} end

local function amount(hold) return tonumber(string.match(hold, ' (%d+)$')) end

local holders, unknown = {}, {2}
for place = 2, #KEYS, 5 do
  local number = #holders + 1
  local first = 7 + (number - 1) * 4
  local holder = {
    runs_key = KEYS[place + 2], budget_key = KEYS[place + 3], holds_key = KEYS[place + 4],
    requests_bound = tonumber(ARGV[first]), tokens_bound = tonumber(ARGV[first + 1]),
    runs_bound = tonumber(ARGV[first + 2]), budget_bound = tonumber(ARGV[first + 3]),
  }
  holders[number] = holder
  if holder.requests_bound >= 0 then holder.requests = look(KEYS[place]) end
  if holder.tokens_bound >= 0 then holder.tokens = look(KEYS[place + 1]) end
  if holder.runs_bound >= 0 then
    redis.call('ZREMRANGEBYSCORE', holder.runs_key, '-inf', whole(now))
    holder.runs = redis.call('ZCARD', holder.runs_key)
  end
  if holder.budget_bound >= 0 then
    local told = redis.call('HMGET', holder.budget_key, 'spent', 'held')
    if not told[1] then unknown[#unknown + 1] = number end
    holder.spent, holder.held = tonumber(told[1] or '0'), tonumber(told[2] or '0')
    local over = redis.call('ZRANGEBYSCORE', holder.holds_key, '-inf', whole(now))
    for _, hold in ipairs(over) do
      redis.call('ZREM', holder.holds_key, hold)
      holder.held = holder.held - amount(hold)
    end
    if not told[2] or redis.call('EXISTS', holder.holds_key) == 0 then
      -- One of the two is new, or was lost: what is held is what the holds say.
      holder.held = 0
      for _, hold in ipairs(redis.call('ZRANGE', holder.holds_key, 0, -1)) do
        holder.held = holder.held + amount(hold)
      end
    end
    if not told[2] or holder.held ~= tonumber(told[2]) then
      redis.call('HSET', holder.budget_key, 'held', whole(holder.held))
      redis.call('PEXPIRE', holder.budget_key, life)
    end
  end
end
if #unknown > 1 then return unknown end

local worst = nil
local function hinder(number, kind, duration, used)
  local rank = duration
  if duration < 0 then rank = math.huge end
  if not worst or rank > worst.rank then worst = {rank = rank, told = {0, number, kind, duration, used}} end
end
for number, holder in ipairs(holders) do
  if holder.requests and holder.requests.total >= holder.requests_bound then
    hinder(number, 1, wait(holder.requests, holder.requests_bound - 1), holder.requests.total)
  end
  if holder.tokens and holder.tokens.total + tokens > holder.tokens_bound then
    hinder(number, 2, wait(holder.tokens, holder.tokens_bound - tokens), holder.tokens.total)
  end
  if holder.runs and holder.runs >= holder.runs_bound then hinder(number, 3, RUN_WAIT, holder.runs) end
  if holder.spent then
    local least, used = cost, holder.spent + holder.held
    if cost < 0 then least = 1 end
    if least > 0 and used + least > holder.budget_bound then
      local duration = -1
      if holder.spent + least <= holder.budget_bound then duration = RUN_WAIT end
      hinder(number, 4, duration, used)
    end
  end
end

local told = {1}
if worst then told = worst.told end
for _, holder in ipairs(holders) do
  local requested, counted = 0, 0
  if not worst then
    if holder.requests then requested = add(holder.requests, 1) end
    if holder.tokens and tokens > 0 then counted = add(holder.tokens, tokens) end
    if holder.runs then
      redis.call('ZADD', holder.runs_key, whole(now + lease), id)
      redis.call('PEXPIRE', holder.runs_key, 2 * lease)
    end
    if holder.spent and cost > 0 then
      redis.call('ZADD', holder.holds_key, whole(now + lease), id .. ' ' .. whole(cost))
      redis.call('PEXPIRE', holder.holds_key, 2 * lease)
      redis.call('HINCRBY', holder.budget_key, 'held', whole(cost))
      redis.call('PEXPIRE', holder.budget_key, life)
    end
  end
  local requests, tokens_used = holder.requests, holder.tokens
  local size = #told
  told[size + 1], told[size + 2] = requested, counted
  told[size + 3], told[size + 4] = requests and requests.total or 0, requests and reset(requests) or 0
  told[size + 5], told[size + 6] = tokens_used and tokens_used.total or 0, tokens_used and reset(tokens_used) or 0
end
return told
""",
)

SETTLE = _script(
    _TIME,
    _WINDOW,
    """
-- KEYS: the mark of a settled one; for each holder requests, tokens, runs, budget, holds, and the budget that pays.
-- ARGV: time, id, life of the mark, requests, tokens reserved, tokens used, cost reserved, cost used, life of a budget;
-- for each holder where its request and its tokens are counted (0: nowhere), and whether its tokens have a bound.
local requests, reserved, used = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local held, cost, life = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[3]) then return 0 end

local function give_back(key, mark, amount)
  if mark == '0' or redis.call('HEXISTS', key, mark) == 0 then return end
  if redis.call('HINCRBY', key, mark, whole(-amount)) <= 0 then redis.call('HDEL', key, mark) end
end

for place = 2, #KEYS, 6 do
  local first = 10 + (place - 2) / 6 * 3
  if requests == 0 then give_back(KEYS[place], ARGV[first], 1) end
  if ARGV[first + 2] == '1' and used > reserved then
    add(look(KEYS[place + 1]), used - reserved)
  elseif used < reserved then
    give_back(KEYS[place + 1], ARGV[first + 1], reserved - used)
  end
  redis.call('ZREM', KEYS[place + 2], id)
  if held > 0 and redis.call('ZREM', KEYS[place + 4], id .. ' ' .. whole(held)) == 1
      and redis.call('HEXISTS', KEYS[place + 3], 'held') == 1 then
    redis.call('HINCRBY', KEYS[place + 3], 'held', whole(-held))
  end
  if cost > 0 and redis.call('HEXISTS', KEYS[place + 5], 'spent') == 1 then
    redis.call('HINCRBY', KEYS[place + 5], 'spent', whole(cost))
    redis.call('PEXPIRE', KEYS[place + 5], life)
  end
end
return 1
""",
)

RENEW = _script(
    _TIME,
    """
-- KEYS: the mark of a settled one; for each holder requests, tokens, runs, budget, holds.
-- ARGV: time, id, lease, cost reserved, life of a budget; for each holder whether its runs and its budget have a bound.
local lease, held, life = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for place = 2, #KEYS, 5 do
  local first = 6 + (place - 2) / 5 * 2
  if ARGV[first] == '1' then
    redis.call('ZADD', KEYS[place + 2], whole(now + lease), id)
    redis.call('PEXPIRE', KEYS[place + 2], 2 * lease)
  end
  if ARGV[first + 1] == '1' and held > 0 then
    -- Added, where it was lost: then it is held once more.
    if redis.call('ZADD', KEYS[place + 4], whole(now + lease), id .. ' ' .. whole(held)) == 1
        and redis.call('HEXISTS', KEYS[place + 3], 'held') == 1 then
      redis.call('HINCRBY', KEYS[place + 3], 'held', whole(held))
      redis.call('PEXPIRE', KEYS[place + 3], life)
    end
    redis.call('PEXPIRE', KEYS[place + 4], 2 * lease)
  end
end
return 1
""",
)

LEARN = _script(
    """
-- KEYS: a budget. ARGV: spent, life of a budget.
local known = redis.call('HGET', KEYS[1], 'spent')
if not known or tonumber(known) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'spent', ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)

import { createHash } from "node:crypto";
import type { Script } from "./connection.js";

/**
 * Every step that must be atomic, as Lua. For implementers:
 *
 * - Texts are static; what varies goes through KEYS and ARGV. Every script gets the state's keys first:
 *   KEYS[1] head, KEYS[2] log, KEYS[3] marks, KEYS[4] rules.
 * - A script that fails half-way is not rolled back. So the log comes first (a record too many only costs readers a
 *   miss), then what must go (UNLINK works on a server out of memory), and what may fail last.
 * - Positions are about 1.7e15: below 2^53, so exact as Lua numbers and as scores, but Lua's tostring rounds them to
 *   14 digits; they become text by "%.0f" only.
 * - While the clock stands behind what was given, the next position is some way on, how far by the record's digest: a
 *   server and the replica that takes its place do not give one position to two records, or those who follow the log
 *   would not see that its history was rewritten. The one right after the last is never given: see `undelivered`.
 * - A generation begins when there is no head: an empty server, FLUSHALL, an evicted key. What is left of an older
 *   log only says which positions were given out.
 * - The marks hold a member "" scored +inf. Where it is missing the marks were lost (evicted), and what they said is
 *   unknown: a generation begins, so entries miss where they would otherwise come back from the dead.
 * - A value of another type under one of these keys is somebody else's: the key was lost, and what lies there goes.
 */
const STATE = `
local function digits(n) return string.format('%.0f', n) end
local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local function after(last, what)
  local time = now()
  if time > last + 1 then return time end
  return last + 2 + tonumber(string.sub(redis.sha1hex(what .. digits(time)), 1, 3), 16)
end
local function isForeign(key, reply)
  if type(reply) ~= 'table' or not reply.err or not string.find(reply.err, '^WRONGTYPE') then return false end
  redis.call('UNLINK', key)
  return true
end
local function ours(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  isForeign(key, reply)
  return redis.call(command, key, ...)
end
local position, control, floor
local function save()
  local head = digits(position) .. ' ' .. digits(control) .. ' ' .. digits(floor)
  redis.call('SET', KEYS[1], head)
  return head
end
local function begin()
  local last = ours('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  local start = after(math.max(position or 0, last and tonumber(string.match(last[1], '^%d+')) or 0), '')
  redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
  redis.call('ZADD', KEYS[3], '+inf', '')
  redis.call('ZADD', KEYS[4], '+inf', '')
  position, control, floor = start, start, start
  return save()
end
local function open()
  local head = ours('GET', KEYS[1])
  if head then
    local p, c, f = string.match(head, '^(%d+) (%d+) (%d+)$')
    if p then
      position, control, floor = tonumber(p), tonumber(c), tonumber(f)
      return head
    end
  end
  return begin()
end
local function openMarks()
  local head = open()
  if ours('ZSCORE', KEYS[3], '') and ours('ZSCORE', KEYS[4], '') then return head end
  return begin()
end
`;

/**
 * Appends a record and moves its marks. KEYS[5…]: `n` entries, then as many leases, then as many keys of parts, `n`
 * being set by the script before this. ARGV[1]: the record without its positions; [2] 1 if it moves control; [3] length of the log; [4], [5] most marks and rules; [6] microseconds until
 * a mark is forgotten; [7] channel; [8], [9] how many members to move among marks and rules, which follow from [10].
 */
const APPEND = `
-- An UNLINK refused (a slot on its way to another server) is no removal: the whole step fails, and is sent again.
local refused
local function unlink(from, to)
  local found = 0
  for first = from, to, 1000 do
    local gone = redis.pcall('UNLINK', unpack(KEYS, first, math.min(first + 999, to)))
    if type(gone) == 'number' then found = found + gone else refused = gone end
  end
  return found
end
local function endLeases() unlink(5 + n, 4 + 2 * n) end
local function unlinkEntries()
  unlink(5 + 2 * n, 4 + 3 * n)
  return unlink(5, 4 + n)
end
local function forget(key, limit)
  -- A mark at or below the floor says nothing any more, so all of one record go together.
  local function raise(score)
    if not score then return end
    floor = math.max(floor, tonumber(score))
    redis.call('ZREMRANGEBYSCORE', key, '-inf', score)
  end
  local old = '(' .. digits(position - tonumber(ARGV[6]))
  local aged = redis.call('ZRANGEBYSCORE', key, '-inf', old, 'WITHSCORES', 'LIMIT', 0, 100)
  raise(aged[#aged])
  local over = math.min(redis.call('ZCARD', key) - 1 - tonumber(limit), 20000)
  if over > 0 then raise(redis.call('ZRANGE', key, over - 1, over - 1, 'WITHSCORES')[2]) end
end
local function move(key, first, count, limit)
  local score = digits(position)
  for i = first, first + count - 1 do ours('ZADD', key, score, ARGV[i]) end
  if count > 0 then forget(key, limit) end
end
local function append()
  open()
  local previous = position
  position = after(position, ARGV[1])
  local record = '[' .. digits(position) .. ',' .. digits(previous) .. ',' .. ARGV[1]
  local function add()
    return redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], digits(position) .. '-0', 'r', record)
  end
  local added = add()
  if isForeign(KEYS[2], added) then added = add() end
  if type(added) == 'table' and added.err then return nil, added end
  if ARGV[2] == '1' then control = position end
  move(KEYS[3], 10, tonumber(ARGV[8]), ARGV[4])
  move(KEYS[4], 10 + tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[5])
  local head = save()
  redis.call('PUBLISH', ARGV[7], record)
  return head
end
`;

/** An invalidation has keys of nothing else. */
const INVALIDATED = `local n = (#KEYS - 4) / 3 `;

/**
 * Stores an entry and its time to live; what is given for `upload` becomes the key of its parts if `id` is its, "" being
 * that of an entry without parts. Answers with a failure or nothing. What may fail comes first, and UNLINK before
 * RENAME, which would free what it writes over while everybody waits.
 */
const STORE = `
local function store(entry, parts, value, ttl, upload, id)
  if id ~= '' and redis.pcall('HGET', upload, 'id') ~= id then
    -- The last parts may have made it anew, without an end.
    redis.call('UNLINK', upload)
    return redis.error_reply('ERR the parts of a large value were lost before it was stored')
  end
  local stored = redis.pcall('SET', entry, value, 'PX', ttl)
  if stored.err then
    if id ~= '' then redis.call('UNLINK', upload) end
    return stored
  end
  redis.call('UNLINK', parts)
  if id ~= '' then
    redis.call('RENAME', upload, parts)
    -- The entry's own end: between two readings of the clock a millisecond may pass.
    redis.call('PEXPIREAT', parts, redis.call('PEXPIRETIME', entry))
  end
end
`;

function script(...parts: readonly string[]): Script {
  const text = parts.join("");
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

export const HEAD: Script = script(STATE, `return open()`);

/** ARGV[1] position, ARGV[2] limit. Replies the head, the records if the log goes on from there, else from where it is whole. */
export const SINCE: Script = script(
  STATE,
  `
local head = open()
local from = tonumber(ARGV[1])
if from == position then return {head, {}} end
local found = ours('XRANGE', KEYS[2], digits(from + 1) .. '-0', '+', 'COUNT', ARGV[2])
local records = {}
for i = 1, #found do records[i] = found[i][2][2] end
-- The first must name the position asked for: an older record is missing, or the position is of another generation.
local previous = '^%[%d+,(%d+),'
if #records > 0 and string.match(records[1], previous) == digits(from) then return {head, records} end
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
return {head, false, oldest and string.match(oldest[2][2], previous)}
`,
);

/**
 * After the members of APPEND, ARGV goes on with a value, a time to live and the id of its upload for each entry; after
 * the keys of APPEND come the uploads.
 */
export const PUT: Script = script(
  `local n = (#ARGV - 9 - tonumber(ARGV[8]) - tonumber(ARGV[9])) / 3 `,
  STATE,
  APPEND,
  STORE,
  `
local head, failure = append()
endLeases()
unlinkEntries()
failure = failure or refused
local at, upload = 10 + tonumber(ARGV[8]) + tonumber(ARGV[9]), 5 + 3 * n
for i = 1, n do
  if failure then break end
  failure = store(KEYS[4 + i], KEYS[4 + 2 * n + i], ARGV[at], ARGV[at + 1], KEYS[upload], ARGV[at + 2])
  if ARGV[at + 2] ~= '' then upload = upload + 1 end
  at = at + 3
end
if not failure then return head end
unlink(5 + 3 * n, #KEYS)
return failure
`,
);

export const INVALIDATE_HARD: Script = script(
  INVALIDATED,
  STATE,
  APPEND,
  `
local head, failure = append()
endLeases()
local hit = unlinkEntries()
if refused or not head then return refused or failure end
return {head, hit}
`,
);

export const INVALIDATE_SOFT: Script = script(
  INVALIDATED,
  STATE,
  APPEND,
  `
local head, failure = append()
endLeases()
local hit = 0
for i = 1, n do
  -- SETRANGE would create a key that is missing, and pad a value too short to be an entry.
  local length = redis.pcall('STRLEN', KEYS[4 + i])
  if head and type(length) == 'number' and length >= 12 then
    redis.call('SETRANGE', KEYS[4 + i], 3, '\\1')
    hit = hit + 1
  end
end
if refused or not head then return refused or failure end
return {head, hit}
`,
);

/** ARGV[1] how many of the members that follow are among the marks; the rest are rules. Replies the floor, then scores. */
export const MARKS: Script = script(
  STATE,
  `
openMarks()
local reply = {digits(floor)}
for i = 2, #ARGV do
  local key = i <= tonumber(ARGV[1]) + 1 and KEYS[3] or KEYS[4]
  reply[i] = redis.call('ZSCORE', key, ARGV[i])
end
return reply
`,
);

/** Replies member, score, member, score … */
export const RULES: Script = script(
  STATE,
  `openMarks() return redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(+inf', 'WITHSCORES')`,
);

/** KEYS[5] entry, [6] lease, [7] fence. ARGV[1] token, [2] time to live, [3] stamp seen or "", [4] 1 to take over. */
export const ACQUIRE: Script = script(
  STATE,
  `
local head = open()
if ARGV[4] == '0' then
  local seen = redis.pcall('GETRANGE', KEYS[5], 3, 11)
  if type(seen) == 'string' and #seen == 9 and string.byte(seen) ~= 1 and string.sub(seen, 2) ~= ARGV[3] then
    return {'filled', head, redis.call('GET', KEYS[5])}
  end
  local holder = redis.pcall('GET', KEYS[6])
  if type(holder) == 'string' and holder ~= ARGV[1] then
    local left = redis.call('PTTL', KEYS[6])
    if left >= 0 then return {'held', head, math.max(left, 1)} end
  end
end
redis.call('SET', KEYS[6], ARGV[1], 'PX', ARGV[2])
-- By the clock, so that it goes on growing when the counter is lost.
local fence = math.max(now(), (tonumber(ours('GET', KEYS[7]) or '0') or 0) + 1)
redis.call('SET', KEYS[7], digits(fence))
return {'won', head, digits(fence)}
`,
);

/** These know the entry, KEYS[1], and its lease, KEYS[2], only. ARGV[1] is the token. */
const HELD = `if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end `;

/** KEYS[3] parts, [4] upload. ARGV[2] value, [3] time to live, [4] channel, [5] message, [6] id of the upload or "". */
export const FILL: Script = script(
  STORE,
  `
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then
  if KEYS[4] then redis.call('UNLINK', KEYS[4]) end
  return 0
end
local failure = store(KEYS[1], KEYS[3], ARGV[2], ARGV[3], KEYS[4], ARGV[6])
if failure then return failure end
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
`,
);

/**
 * KEYS[5] entry, [6] lease, [7] parts, [8] upload. After what APPEND takes, ARGV[10] token, [11] value, [12] time to live,
 * [13] message, [14] id of the upload or "".
 */
export const COMMIT: Script = script(
  `local n = 1 `,
  STATE,
  APPEND,
  STORE,
  `
local function drop() if KEYS[8] then redis.call('UNLINK', KEYS[8]) end end
if redis.pcall('GET', KEYS[6]) ~= ARGV[10] then
  drop()
  return false
end
local head, failure = append()
endLeases()
unlinkEntries()
failure = failure or refused
if not failure then failure = store(KEYS[5], KEYS[7], ARGV[11], ARGV[12], KEYS[8], ARGV[14]) end
if failure then drop() end
redis.call('PUBLISH', ARGV[7], ARGV[13])
return failure or head
`,
);

/** ARGV[2] time to live. */
export const RENEW: Script = script(HELD, `return redis.call('PEXPIRE', KEYS[2], ARGV[2])`);

/** ARGV[2] channel, [3] message. */
export const RELEASE: Script = script(
  HELD,
  `
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
`,
);

/** KEYS[1] entry, [2] parts, ARGV[1] stamp. An entry too short to have a whole stamp is told by what it has. */
export const DISCARD: Script = script(`
local stamp = redis.pcall('GETRANGE', KEYS[1], 4, 11)
if type(stamp) ~= 'string' or stamp ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[2])
return redis.call('UNLINK', KEYS[1])
`);

/**
 * KEYS[1] upload. ARGV[1] its id, [2] number of a part, [3] the part, [4] milliseconds until what was uploaded is
 * forgotten if no more comes. Replies 0 when the parts before it were forgotten: what is left of them goes.
 */
export const UPLOAD: Script = script(`
if ARGV[2] == '0' then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], '0', ARGV[3])
elseif redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
else
  redis.call('UNLINK', KEYS[1])
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[4])
`);

/**
 * KEYS[1] head. ARGV[1] cursor, [2] what follows the cache's name in the keys, as a pattern, [3] how many to look at. One
 * step of SCAN, as a script: so it goes to the server that has the shard, and finds by the head what the server calls the
 * cache, which a client may have put a prefix before. Replies the next cursor and the paths.
 */
export const LIST: Script = script(`
local name = string.sub(KEYS[1], 1, -6)
local pattern = string.gsub(name, '[%[%]%*%?\\\\]', '\\\\%0') .. ARGV[2]
local reply = redis.call('SCAN', ARGV[1], 'MATCH', pattern, 'COUNT', ARGV[3])
local paths = {}
for _, key in ipairs(reply[2]) do
  local rest = string.sub(key, #name + 1)
  if string.sub(rest, 1, 1) == ':' then rest = string.sub(rest, 2) end
  paths[#paths + 1] = rest
end
return {reply[1], paths}
`);

import { createHash } from "node:crypto";
import type { Script } from "./connection.js";

/*
 * Every step of a journal, as Lua. For implementers:
 *
 * - Every script gets the same keys: KEYS[1] log, [2] state, [3] pending, [4] sums, [5] sealed sums, [6] letters, [7] ids.
 * - The log's ids are `position-0`, and positions are counted in the state: after the log was emptied, or came back
 *   from an older file, they go on or are given again. Nothing outside the journal knows them.
 * - What may refuse for want of memory is refused before the script begins (`noeviction`), so none ends half-way. Were one
 *   to, the log would be right: it is written first, and the index of what is pending is made from it.
 */

/** Fields of a log's entry by their place, values at even ones: id key whole by at body. */
const STATE = `
local log, state, pending, sums, sealed, letters, ids = unpack(KEYS)
local OPID, KEY, WHOLE, BY, AT, BODY = 2, 4, 6, 8, 10, 12
local function digits(n) return string.format('%.0f', n) end
local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local function entries(upTo) return redis.call('XRANGE', log, '-', upTo .. '-0') end
local function positionOf(id) return tonumber(string.match(id, '^%d+')) end
`;

/** How long the ids of operations are remembered, and how many of them; milliseconds. */
const REMEMBERED_FOR = 600_000;
const REMEMBERED = 100_000;

/** ARGV[1] limit; then of each operation: its id, key, 0 | 1 for whole, what it adds, body. Replies how many are in the log, and its depth. */
export const APPEND: Script = script(`
local ms = now()
redis.call('ZREMRANGEBYSCORE', ids, '-inf', digits(ms - ${REMEMBERED_FOR}))
local depth = redis.call('XLEN', log) + redis.call('XLEN', letters)
local limit = tonumber(ARGV[1])
local last = tonumber(redis.call('HGET', state, 'last') or '')
if not last then
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  last = newest and positionOf(newest[1]) or 0
end
local added = 0
for i = 2, #ARGV, 5 do
  local opId, key, whole, by = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if not redis.call('ZSCORE', ids, opId) then
    if depth >= limit then break end
    last, depth = last + 1, depth + 1
    local position = digits(last)
    redis.call('XADD', log, position .. '-0', 'id', opId, 'key', key, 'whole', whole, 'by', by, 'at', digits(ms), 'body', ARGV[i + 4])
    redis.call('HSET', state, 'last', position)
    redis.call('ZADD', ids, digits(ms), opId)
    if by ~= '0' then
      redis.call('HINCRBY', sums, key, by)
    else
      local before = whole == '0' and redis.call('HGET', pending, key)
      redis.call('HSET', pending, key, before and before .. ' ' .. position or position)
    end
  end
  added = added + 1
end
redis.call('ZREMRANGEBYRANK', ids, 0, ${-REMEMBERED - 1})
return { added, depth }
`);

/** ARGV: keys. Replies the sealed batch and the settled one ("" for none), then of each key its bodies, sum, and sealed sum. */
export const PENDING: Script = script(`
local reply = { redis.call('HGET', state, 'batch') or '', redis.call('HGET', state, 'settled') or '' }
for _, key in ipairs(ARGV) do
  local bodies = {}
  for position in string.gmatch(redis.call('HGET', pending, key) or '', '%d+') do
    local found = redis.call('XRANGE', log, position .. '-0', position .. '-0')[1]
    if found then bodies[#bodies + 1] = found[2][BODY] end
  end
  reply[#reply + 1] = { bodies, redis.call('HGET', sums, key) or '0', redis.call('HGET', sealed, key) or '0' }
end
return reply
`);

/** ARGV[1] batch, [2] generation, [3] most operations, [4] most bytes. Replies the batch, generation, number and entries; nil of an empty log. */
export const SEAL: Script = script(`
local batch = redis.call('HGET', state, 'batch')
if not batch then
  local left, bytes, upTo, from = tonumber(ARGV[3]), tonumber(ARGV[4]), nil, '-'
  redis.call('DEL', sealed)
  while left > 0 do
    local found = redis.call('XRANGE', log, from, '+', 'COUNT', math.min(left, 100))
    if #found == 0 then break end
    for _, entry in ipairs(found) do
      bytes = bytes - #entry[2][BODY]
      if upTo and bytes < 0 then
        left = 0
        break
      end
      left, upTo = left - 1, positionOf(entry[1])
      if entry[2][BY] ~= '0' then redis.call('HINCRBY', sealed, entry[2][KEY], entry[2][BY]) end
    end
    if upTo then from = digits(upTo + 1) .. '-0' end
  end
  if not upTo then return false end
  batch = ARGV[1]
  redis.call('HSET', state, 'batch', batch, 'upTo', digits(upTo))
  redis.call('HSETNX', state, 'generation', ARGV[2])
  redis.call('HSETNX', state, 'seq', '0')
end
local seq = tonumber(redis.call('HGET', state, 'seq') or '0') + 1
local operations = {}
for i, entry in ipairs(entries(redis.call('HGET', state, 'upTo'))) do operations[i] = entry[2] end
return { batch, redis.call('HGET', state, 'generation') or ARGV[2], digits(seq), operations }
`);

/** ARGV[1] batch, [2] generation, [3] number; then of each operation refused: its id, the reason. Replies 0 for another batch. */
export const SETTLE: Script = script(`
if redis.call('HGET', state, 'batch') ~= ARGV[1] then return 0 end
local rejected, touched = {}, {}
for i = 4, #ARGV, 2 do rejected[ARGV[i]] = ARGV[i + 1] end
local upTo = tonumber(redis.call('HGET', state, 'upTo'))
for _, entry in ipairs(entries(digits(upTo))) do
  local fields = entry[2]
  if fields[BY] == '0' then
    touched[fields[KEY]] = true
  elseif redis.call('HINCRBY', sums, fields[KEY], -tonumber(fields[BY])) == 0 then
    redis.call('HDEL', sums, fields[KEY])
  end
  local reason = rejected[fields[OPID]]
  if reason then redis.call('XADD', letters, '*', 'reason', reason, unpack(fields)) end
end
for key in pairs(touched) do
  local left = {}
  for position in string.gmatch(redis.call('HGET', pending, key) or '', '%d+') do
    if tonumber(position) > upTo then left[#left + 1] = position end
  end
  if #left == 0 then redis.call('HDEL', pending, key) else redis.call('HSET', pending, key, table.concat(left, ' ')) end
end
redis.call('XTRIM', log, 'MINID', digits(upTo + 1) .. '-0')
redis.call('HSET', state, 'generation', ARGV[2], 'seq', ARGV[3], 'settled', ARGV[1])
redis.call('HDEL', state, 'batch', 'upTo')
redis.call('DEL', sealed)
return 1
`);

/** Replies how many operations are in the log, the age of the oldest, how many letters there are. */
export const LOOK: Script = script(`
local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
local age = oldest and math.max(0, now() - tonumber(oldest[2][AT])) or 0
return { redis.call('XLEN', log), age, redis.call('XLEN', letters) }
`);

/** ARGV[1] limit. Replies the fields of letters: the reason first, then those of the log. */
export const LETTERS: Script = script(`
local reply = {}
for i, entry in ipairs(redis.call('XRANGE', letters, '-', '+', 'COUNT', ARGV[1])) do reply[i] = entry[2] end
return reply
`);

/** ARGV: ids of operations. Replies how many letters were removed. */
export const DISCARD_LETTERS: Script = script(`
local wanted, removed = {}, 0
for _, opId in ipairs(ARGV) do wanted[opId] = true end
for _, entry in ipairs(redis.call('XRANGE', letters, '-', '+')) do
  if wanted[entry[2][OPID + 2]] then removed = removed + redis.call('XDEL', letters, entry[1]) end
end
return removed
`);

function script(body: string): Script {
  const text = STATE + body;
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

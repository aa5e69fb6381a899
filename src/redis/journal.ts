import { CacheError } from "../errors.js";
import { encodeName } from "../keys.js";
import type { Journal, JournalLog, SealedBatch, StoredOperation } from "../write/journal.js";
import {
  isCluster,
  isIoRedis,
  isIoRedisCluster,
  isSentinel,
  type NodeRedisSentinelLike,
  type RedisClusterLike,
  type RedisLike,
} from "./client.js";
import { nodeRedisClusterConnection, shardConnection } from "./cluster-connection.js";
import type { Connection, Script } from "./connection.js";
import { ioRedisConnection } from "./ioredis.js";
import { APPEND, DISCARD_LETTERS, LETTERS, LOOK, PENDING, SEAL, SETTLE } from "./journal-scripts.js";
import { nodeRedisConnection } from "./node-redis.js";
import { sentinelReach } from "./sentinel.js";
import { slotOf } from "./slots.js";
import { textOf } from "./wire.js";

export interface RedisJournalOptions {
  /** What the journal's keys begin with. @default "journal" */
  prefix?: string | undefined;
}

/**
 * A journal of write-behind on Redis 7 or later: one server, the master behind sentinels, or a cluster, where each log lies in
 * one slot. The log is a stream.
 *
 * It is as durable as the server. Nothing of it may be evicted: `maxmemory-policy noeviction`, or one of `volatile-…`, for
 * its keys have no time to live. With `appendonly yes` and `appendfsync everysec` a crash loses about the last second, with
 * `always` nothing, without a file all of it; a failover to a replica loses what that had not got.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for a client of another kind.
 */
export function redisJournal(
  client: RedisLike | NodeRedisSentinelLike | RedisClusterLike,
  options: RedisJournalOptions = {},
): Journal {
  const { prefix = "journal" } = options;
  if (typeof prefix !== "string" || /[{}]/.test(prefix)) {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`prefix\` to be text without braces, got \`${prefix}\``);
  }
  const connectionFor = reach(client);
  return {
    kind: "redis",
    open(name) {
      // The braces put all of a log on one slot.
      const stem = `${prefix}{${encodeName(name)}}`;
      const connection = connectionFor(slotOf(stem));
      return openLog(
        connection,
        ["log", "state", "pending", "sums", "sealed", "letters", "ids"].map(
          (what) => `${connection.keyPrefix}${stem}#${what}`,
        ),
      );
    },
  };
}

function reach(client: RedisLike | NodeRedisSentinelLike | RedisClusterLike): (slot: number) => Connection {
  if (isCluster(client)) {
    return isIoRedisCluster(client)
      ? () => shardConnection(ioRedisConnection(client), same)
      : (slot) => shardConnection(nodeRedisClusterConnection(client, slot), same);
  }
  if (isSentinel(client)) {
    const { connection } = sentinelReach(client);
    return () => connection;
  }
  const connection = isIoRedis(client, "client") ? ioRedisConnection(client) : nodeRedisConnection(client);
  return () => connection;
}

/** A journal's scripts publish nothing. */
function same(script: Script): Script {
  return script;
}

function openLog(connection: Connection, keys: readonly string[]): JournalLog {
  const run = (script: Script, args: readonly (string | Uint8Array)[]): Promise<unknown> =>
    connection.run(script, keys, args);
  return {
    async append(operations, limit) {
      const args = operations.flatMap(({ opId, key, whole, by, body }) => [
        opId,
        key,
        whole ? "1" : "0",
        `${by}`,
        body,
      ]);
      const [added, depth] = numbers(await run(APPEND, [String(limit), ...args]));
      return { added: added ?? 0, depth: depth ?? 0 };
    },

    async pending(wanted) {
      const [sealed, settled, ...found] = list(await run(PENDING, wanted));
      return {
        sealed: textOf(sealed) || undefined,
        settled: textOf(settled) || undefined,
        keys: found.map((reply) => {
          const [bodies, sum, sealedSum] = list(reply);
          return { bodies: list(bodies).map(bytes), sum: Number(textOf(sum)), sealedSum: Number(textOf(sealedSum)) };
        }),
      };
    },

    async seal({ batchId, generation, most, mostBytes }): Promise<SealedBatch | undefined> {
      const reply = await run(SEAL, [batchId, generation, String(most), String(mostBytes)]);
      if (reply === null || reply === undefined) return undefined;
      const [batch, begun, seq, entries] = list(reply);
      return {
        batchId: textOf(batch),
        generation: textOf(begun),
        seq: Number(textOf(seq)),
        operations: list(entries).map((fields) => operationOf(list(fields))),
      };
    },

    async settle({ batchId, generation, seq, rejected }) {
      const refusals = rejected.flatMap(({ opId, reason }) => [opId, reason]);
      return (await run(SETTLE, [batchId, generation, String(seq), ...refusals])) === 1;
    },

    async state() {
      const [depth, oldest, dead] = numbers(await run(LOOK, []));
      return { depth: depth ?? 0, oldest: oldest ?? 0, dead: dead ?? 0 };
    },

    letters: {
      async list(limit) {
        return list(await run(LETTERS, [String(limit)])).map((reply) => {
          const [, reason, ...fields] = list(reply);
          return { ...operationOf(fields), reason: textOf(reason) };
        });
      },
      async discard(opIds) {
        const [removed] = numbers([await run(DISCARD_LETTERS, opIds)]);
        return removed ?? 0;
      },
    },

    // The client is its owner's.
    close: () => Promise.resolve(),
  };
}

/** Names and values of an entry's fields, in the order of `APPEND`. */
function operationOf(fields: readonly unknown[]): StoredOperation {
  const [, opId, , key, , whole, , by, , at, , body] = fields;
  return {
    opId: textOf(opId),
    key: textOf(key),
    whole: textOf(whole) === "1",
    by: Number(textOf(by)),
    at: Number(textOf(at)),
    body: bytes(body),
  };
}

function list(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw new CacheError("ERR_CACHE_TIER", "The journal's server gave an answer that is none of its scripts'");
}

function numbers(reply: unknown): readonly number[] {
  return list(reply).map(Number);
}

function bytes(reply: unknown): Uint8Array {
  if (reply instanceof Uint8Array) return reply;
  throw new CacheError("ERR_CACHE_TIER", "The journal's server gave an answer that is none of its scripts'");
}

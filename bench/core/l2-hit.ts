import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender } from "../slices.js";
import type { Setting } from "../suite.js";
import {
  bentocacheReader,
  cacheableReader,
  cacheManagerReader,
  dedupeReader,
  redis,
  tiercacheReader,
  type Reader,
} from "./contenders.js";
import { openRooms, type Rooms } from "./rooms.js";
import { contact } from "./workload.js";

const POPULATION = 1_000;
const BYTES = 300;
const CONCURRENT = 50;

/**
 * A hit in Redis, with memory left out of each library (Redis is its only tier), each on one connection of the same
 * client library: CPU time of this process, not of the server.
 */
export async function l2Hit(setting: Setting): Promise<CaseResult[]> {
  const rooms = openRooms(await setting.redis());
  try {
    return [
      ...(await hits(setting, "node-redis 6", await nodeRedisReaders(rooms))),
      ...(await hits(setting, "ioredis 6", await ioRedisReaders(rooms))),
    ];
  } finally {
    rooms.close();
  }
}

async function nodeRedisReaders(rooms: Rooms): Promise<Reader[]> {
  const plain = await rooms.nodeRedis();
  return [
    tiercacheReader([redis(await rooms.nodeRedis())], load),
    cacheableReader("redis", load, await rooms.nodeRedis()),
    cacheManagerReader("redis", load, await rooms.nodeRedis()),
    floor(
      "client.get + JSON.parse",
      (key) => plain.get(key),
      (key, text) => plain.set(key, text),
    ),
  ];
}

async function ioRedisReaders(rooms: Rooms): Promise<Reader[]> {
  const plain = await rooms.ioRedis();
  return [
    tiercacheReader([redis(await rooms.ioRedis())], load),
    bentocacheReader("redis", load, await rooms.ioRedis()),
    dedupeReader(load, await rooms.ioRedis()),
    floor(
      "client.get + JSON.parse",
      (key) => plain.get(key),
      (key, text) => plain.set(key, text),
    ),
  ];
}

let loads = 0;

function load(key: string): unknown {
  loads += 1;
  return contact(Number(key.slice("acme:contact:".length)), BYTES);
}

async function hits({ plan }: Setting, client: string, readers: readonly Reader[]): Promise<CaseResult[]> {
  const keys = Array.from({ length: POPULATION }, (_, id) => `acme:contact:${id}`);
  for (const reader of readers) await reader.read(keys);
  loads = 0;
  const one = await interleave(
    readers.map((reader) => sequential(reader, keys)),
    plan,
  );
  const many = await interleave(
    readers.map((reader) => concurrent(reader, keys)),
    plan,
  );
  if (loads > 0) throw new Error(`Expected hits only, and ${loads} values were loaded`);
  for (const reader of readers) await reader.close();
  return [
    caseResult(`l2-hit ${client}`, `a hit in Redis, one after the other, ${BYTES} B`, one),
    caseResult(`l2-hit ${client}, ${CONCURRENT} at once`, "the same by fifties", many),
  ];
}

function sequential(reader: Reader, keys: readonly string[]): Contender {
  let at = 0;
  return {
    name: reader.name,
    async run(operations) {
      for (let left = operations; left > 0; left -= 1) {
        at = (at + 1) % keys.length;
        await reader.get(keys[at] as string);
      }
    },
  };
}

function concurrent(reader: Reader, keys: readonly string[]): Contender {
  let at = 0;
  const next = (): Promise<unknown> => {
    at = (at + 1) % keys.length;
    return reader.get(keys[at] as string);
  };
  return {
    name: reader.name,
    async run(operations) {
      for (let left = operations; left > 0; left -= CONCURRENT) {
        await Promise.all(Array.from({ length: Math.min(CONCURRENT, left) }, next));
      }
    },
  };
}

/** What a read of the client alone costs: no merging, no invalidation, no expiry of its own, text only. */
function floor(
  name: string,
  read: (key: string) => Promise<string | null>,
  write: (key: string, text: string) => Promise<unknown>,
): Reader {
  const get = async (key: string): Promise<unknown> => {
    const text = await read(key);
    if (text !== null) return JSON.parse(text) as unknown;
    const value = load(key);
    await write(key, JSON.stringify(value));
    return value;
  };
  return {
    name,
    get,
    async read(keys) {
      for (const key of keys) await get(key);
    },
    close: async () => undefined,
  };
}

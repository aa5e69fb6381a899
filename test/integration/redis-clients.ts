import { Redis, type RedisOptions as IoRedisOptions } from "ioredis";
import { createClient, type RedisClientOptions } from "redis";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import type { RedisLike } from "../../src/redis/index.js";
import type { LogSignal, SharedTier } from "../../src/tiers/shared.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";

/** A connected client of either library. */
export interface Connected {
  readonly client: RedisLike;
  readonly close: () => void;
}

export type Connect = (url: string) => Promise<Connected>;

export function nodeRedis({ RESP = 3, ...options }: Omit<RedisClientOptions, "RESP"> & { RESP?: 2 | 3 } = {}): Connect {
  return async (url) => {
    const client = createClient({ ...options, RESP, url });
    client.on("error", () => undefined);
    await client.connect();
    return { client, close: () => client.destroy() };
  };
}

export function ioRedis(options: Omit<IoRedisOptions, "replyMapping"> = {}): Connect {
  return async (url) => {
    const client = new Redis(url, { ...options, lazyConnect: true });
    client.on("error", () => undefined);
    await client.connect();
    return { client, close: () => client.disconnect() };
  };
}

/** Both libraries, for `describe.each`. */
export const LIBRARIES: { library: string; connect: Connect }[] = [
  { library: "node-redis", connect: nodeRedis() },
  { library: "ioredis", connect: ioRedis() },
];

/** Connects, and is closed when the test ends. */
export async function connected(connect: Connect, url: string, atEnd: (fn: () => void) => void): Promise<RedisLike> {
  const { client, close } = await connect(url);
  atEnd(close);
  return client;
}

/** What a tier's subscription hears, in order. */
export async function hear(tier: SharedTier): Promise<LogSignal[]> {
  const heard: LogSignal[] = [];
  await tier.log.subscribe((signal) => heard.push(signal));
  return heard;
}

/** Waits until it is so, with the bound of a slow machine. */
export async function eventually(check: () => void | Promise<void>): Promise<void> {
  await expect
    .poll(
      async () => {
        try {
          await check();
          return "so";
        } catch (error) {
          return error instanceof Error ? error.message : String(error);
        }
      },
      { timeout: 15_000, interval: 10 },
    )
    .toBe("so");
}

/** A server for all tests of a file, empty before each, and a client of the tests' own. To be read inside tests only. */
export function oneRedis(): { readonly server: RedisServer; readonly admin: Redis } {
  const made: { server: RedisServer; admin: Redis } = Object.create(null) as never;
  beforeAll(async () => {
    made.server = await startRedis();
    made.admin = new Redis(made.server.url);
    // Some tests cut every connection.
    made.admin.on("error", () => undefined);
  });
  afterAll(async () => {
    made.admin.disconnect();
    await made.server.stop();
  });
  beforeEach(() => made.admin.flushall());
  return made;
}

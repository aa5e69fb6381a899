import { eq, getTableName, sql } from "drizzle-orm";
import { Cache } from "drizzle-orm/cache/core";
import type { CacheConfig } from "drizzle-orm/cache/core/types";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable } from "drizzle-orm/pg-core";
import type pg from "pg";
import { createClient } from "redis";

import type { NodeRedis } from "../core/rooms.js";

/** In one step: what is put between reading a table's keys and removing them would never be dropped again. */
const DROP = `
for _, key in ipairs(redis.call("SMEMBERS", KEYS[1])) do redis.call("DEL", "query:" .. key) end
redis.call("DEL", KEYS[1])`;
/** An hour, as in the other contenders. */
const TTL = 3_600;

const drizzled = pgTable("drizzled", { id: integer().primaryKey(), version: integer().notNull() });

/**
 * Drizzle's cache on Redis, by its contract: an answer is kept with the tables it is of, and a mutation drops what is of its tables. What
 * is called when, and by whom, is Drizzle's.
 */
export class DrizzleCache extends Cache {
  readonly #client: NodeRedis;
  hits = 0;

  constructor(client: NodeRedis) {
    super();
    this.#client = client;
  }

  override strategy(): "all" {
    return "all";
  }

  // The signature is Drizzle's.
  override async get(key: string): Promise<unknown[] | undefined> {
    const found = await this.#client.get(`query:${key}`);
    if (found === null) return undefined;
    this.hits += 1;
    return JSON.parse(found) as unknown[];
  }

  override async put(key: string, answer: unknown, tables: string[], _: boolean, _config?: CacheConfig): Promise<void> {
    const step = this.#client.multi().set(`query:${key}`, JSON.stringify(answer), { EX: TTL });
    for (const table of tables) step.sAdd(`table:${table}`, key);
    await step.exec();
  }

  override async onMutate({ tables = [] }: Parameters<Cache["onMutate"]>[0]): Promise<void> {
    for (const table of Array.isArray(tables) ? tables : [tables]) {
      const name = `table:${typeof table === "string" ? table : getTableName(table)}`;
      await this.#client.eval(DROP, { keys: [name] });
    }
  }
}

export async function connectRedis(url: string): Promise<NodeRedis> {
  const client = createClient({ url });
  client.on("error", () => undefined);
  await client.connect();
  return client as NodeRedis;
}

/** Rows of the table `drizzled`, read and written by Drizzle with its cache. */
export interface DrizzledRows {
  readonly cache: DrizzleCache;
  read(id: number): Promise<{ readonly id: number; readonly version: number } | undefined>;
  bump(id: number): Promise<void>;
}

export function drizzledRows(pool: pg.Pool, client: NodeRedis): DrizzledRows {
  const cache = new DrizzleCache(client);
  const db = drizzle(pool, { cache });
  return {
    cache,
    read: async (id) => (await db.select().from(drizzled).where(eq(drizzled.id, id)))[0],
    bump: async (id) => {
      const version = sql`${drizzled.version} + 1`;
      await db.update(drizzled).set({ version }).where(eq(drizzled.id, id));
    },
  };
}

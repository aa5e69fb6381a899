import type pg from "pg";

import { connectRedis, drizzledRows } from "./drizzle-cache.js";
import { prismaRows } from "./prisma-cache.js";

export interface Row {
  readonly id: number;
  readonly version: number;
}

/** Rows read and written through a library that caches them in Redis. */
export interface CachedRows {
  /** Reads that Redis answered. */
  readonly hits: number;
  read(id: number): Promise<Row | undefined>;
  bump(id: number): Promise<void>;
  /** Empties the cache. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

/** Which library writes; `sql`: none, as whoever knows of no cache does. */
export type Library = "sql" | "drizzle" | "prisma auto" | "prisma keys";

/** Who writes what, in the writers' process. */
export interface Writing {
  readonly url: string;
  readonly redisUrl: string;
  readonly table: string;
  /** What of a row counts up. */
  readonly column: string;
  readonly rows: number;
  /** How its writers write, in turns; there are as many of them. */
  readonly writers: readonly Library[];
  /** Of each writer, in a burst. */
  readonly writes: number;
}

export async function cachedRows(
  library: Exclude<Library, "sql">,
  pool: pg.Pool,
  { url, redisUrl }: Pick<Writing, "url" | "redisUrl">,
): Promise<CachedRows> {
  if (library !== "drizzle") return prismaRows(url, redisUrl, library === "prisma auto" ? "auto" : "keys");
  const client = await connectRedis(redisUrl);
  const rows = drizzledRows(pool, client);
  return {
    get hits() {
      return rows.cache.hits;
    },
    read: (id) => rows.read(id),
    bump: (id) => rows.bump(id),
    forget: async () => void (await client.sendCommand(["FLUSHALL"])),
    close: async () => client.destroy(),
  };
}

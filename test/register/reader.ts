import { Redis } from "ioredis";
import pg from "pg";

import { createCache, memory } from "../../src/index.js";
import type { ChangeFeed } from "../../src/feed/change-feed.js";
import { postgresFeed } from "../../src/postgres/feed.js";
import type { PgLike } from "../../src/postgres/pg.js";
import { redis } from "../../src/redis/index.js";
import { now, type FromChild, type ReaderSettings, type Seen } from "./protocol.js";

/** How often reads are begun, and how often they are reported; milliseconds. */
const EVERY = 20;
const REPORT_EVERY = 200;

/** A process that reads rows through memory and Redis, and takes part in feeding them. */
export function startReader(
  settings: ReaderSettings,
  send: (message: FromChild) => void,
): (what: string) => Promise<unknown> {
  const pool = new pg.Pool({ connectionString: settings.postgres, max: 6, connectionTimeoutMillis: 2_000 });
  pool.on("error", () => undefined);
  const client = new Redis(settings.redis, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  client.on("error", () => undefined);
  const feed = postgresFeed({
    connect: settings.postgres,
    maxStaleness: settings.bound,
    method: settings.method,
    pool: settings.variant === "at-once" ? lying(pool) : undefined,
  });
  const cache = createCache({
    name: "register",
    tiers: [memory(), redis(client)],
    ttl: "1h",
    feed: settings.variant === "no-bound" ? alwaysComplete(feed) : feed,
    hotKeys: false,
    shared: { maxStaleness: 60_000 },
  });
  cache.on("feed", ({ what, error }) =>
    send({
      type: "news",
      what: error === undefined ? what : `${what} (${error instanceof Error ? error.message : JSON.stringify(error)})`,
    }),
  );
  let loads = 0;
  const registers = cache.entity<number, number>({
    name: "register",
    load: async (id) => {
      loads += 1;
      const { rows } = await pool.query("SELECT version FROM registers WHERE id = $1", [id]);
      return (rows[0] as { version: number }).version;
    },
  });
  feed.table<{ id: number }>("registers", { entity: registers, id: (row) => row.id });

  const last = new Map<number, Map<number, number>>();
  let reads = 0;
  let failed = 0;
  let underWay = 0;
  const read = async (row: number): Promise<void> => {
    const at = now();
    underWay += 1;
    try {
      const version = await registers.get(row);
      reads += 1;
      let versions = last.get(row);
      if (versions === undefined) last.set(row, (versions = new Map()));
      versions.set(version, Math.max(at, versions.get(version) ?? 0));
    } catch {
      failed += 1;
    } finally {
      underWay -= 1;
    }
  };
  const report = (): void => {
    const seen: Seen[] = [...last].flatMap(([row, versions]) =>
      [...versions].map(([version, at]): Seen => [row, version, at]),
    );
    send({ type: "seen", reads, failed, loads, seen });
    reads = 0;
    failed = 0;
    loads = 0;
    last.clear();
  };
  let turn = 0;
  const bursts = setInterval(() => {
    // While the database is slow, more reads would only wait.
    if (underWay > settings.burst) return;
    for (let n = 0; n < settings.burst; n++) void read((turn++ * 7) % settings.rows);
  }, EVERY);
  const reports = setInterval(report, REPORT_EVERY);

  return async (what) => {
    if (what === "role") return (cache.stats().feed as { role?: unknown } | undefined)?.role;
    if (what === "values") {
      // Twice: what a first read mends, the second must not need.
      const all = Array.from({ length: settings.rows }, (_, row) => row);
      return Promise.all(all.map((row) => registers.get(row)));
    }
    clearInterval(bursts);
    clearInterval(reports);
    report();
    await cache.close();
    client.disconnect();
    await pool.end();
    return undefined;
  };
}

/** Answers that all transactions have ended: what is published is published at once. */
function lying(pool: PgLike): PgLike {
  return {
    async query(text, values) {
      const answer = (await pool.query(text, values)) as { rows: Record<string, unknown>[] };
      for (const row of answer.rows) {
        if (typeof row["snapshot"] !== "string") continue;
        const xmax = BigInt(row["snapshot"].split(":")[1] ?? "0") + 1_000_000_000n;
        row["snapshot"] = `${xmax}:${xmax}:`;
      }
      return answer;
    },
  };
}

function alwaysComplete(feed: ChangeFeed): ChangeFeed {
  return {
    kind: feed.kind,
    maxStaleness: feed.maxStaleness,
    open(sink) {
      const timer = setInterval(() => sink.complete(sink.clock.now()), 5);
      const opened = feed.open(sink);
      return {
        stats: () => opened.stats(),
        close() {
          clearInterval(timer);
          return opened.close();
        },
      };
    },
  };
}

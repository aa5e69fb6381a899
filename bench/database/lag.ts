import { createCache, memory, type Cache, type Entity } from "../../src/index.js";
import { postgresFeed } from "../../src/postgres/feed.js";
import { redis } from "../../src/redis/index.js";
import { openRooms } from "../core/rooms.js";
import { once } from "../memory/once.js";
import type { CaseResult, ContenderResult } from "../report.js";
import { startSource } from "../../test/support/postgres-source.js";
import type { Setting } from "../suite.js";
import { hundredths, listen, nextTurn, notifying, quantile } from "./source.js";

interface Row {
  readonly id: number;
  readonly version: number;
}

/**
 * From the writer's commit until another cache's memory does not answer with the old row any more. The feed waits until
 * the row is visible to readers and goes by Redis; the notification goes straight to a process, which deletes.
 */
export async function lag(setting: Setting): Promise<CaseResult[]> {
  const writes = setting.quick ? 100 : 1_000;
  const source = await startSource({ connections: 4 });
  const rooms = openRooms(await setting.redis());
  const caches: Cache[] = [];
  try {
    await source.pool.query("CREATE TABLE fed (id int PRIMARY KEY, version int NOT NULL)");
    await source.pool.query("CREATE TABLE told (id int PRIMARY KEY, version int NOT NULL)");
    await source.pool.query("INSERT INTO fed VALUES (1, 0)");
    await source.pool.query("INSERT INTO told VALUES (1, 0)");
    await source.pool.query(notifying("told"));

    // One room for both: they are processes of one service.
    const client = await rooms.nodeRedis();
    const fedCache = async (): Promise<Entity<number, Row>> => {
      const feed = postgresFeed({ connect: source.server.url, maxStaleness: "5s" });
      const cache = createCache({ name: "lag", tiers: [memory(), redis(client)], feed });
      const rows = entityOf(cache, (id) => read("fed", id));
      feed.table<Row>("fed", { entity: rows, id: (row) => row.id });
      caches.push(cache);
      await feed.ready();
      return rows;
    };
    const read = async (table: string, id: number): Promise<Row> => {
      const { rows } = await source.pool.query<Row>(`SELECT id, version FROM ${table} WHERE id = $1`, [id]);
      return rows[0] as Row;
    };
    // The first leads; the one that is watched hears by the shared log.
    await fedCache();
    const follower = await fedCache();
    const alone = createCache({ name: "told", tiers: [memory()] });
    caches.push(alone);
    const told = entityOf(alone, (id) => read("told", id));
    const stop = await listen(source.server.url, "told", () => void told.invalidate(1));

    const contenders: ContenderResult[] = [];
    for (const [name, table, rows] of [
      ["postgresFeed, another process", "fed", follower],
      ["NOTIFY trigger, delete on event", "told", told],
    ] as const) {
      const waits: number[] = [];
      const started = process.cpuUsage();
      for (let left = writes; left > 0; left -= 1) {
        await rows.get(1);
        await rows.get(1);
        await source.pool.query(`UPDATE ${table} SET version = version + 1 WHERE id = 1`);
        const committed = performance.now();
        while (rows.peek(1) !== undefined) await nextTurn();
        waits.push(performance.now() - committed);
      }
      const { user, system } = process.cpuUsage(started);
      contenders.push(
        once(name, (user + system) / writes, contenders[0], {
          "p50 ms": hundredths(quantile(waits, 0.5)),
          "p99 ms": hundredths(quantile(waits, 0.99)),
          "max ms": hundredths(Math.max(...waits)),
        }),
      );
    }
    await stop();
    const what = `one row written ${writes} times, one after the other; CPU of the waiting loop included`;
    return [{ name: "lag", what, baseline: "postgresFeed, another process", contenders }];
  } finally {
    await Promise.all(caches.map((cache) => cache.close()));
    rooms.close();
    await source.close();
  }
}

function entityOf(cache: Cache, load: (id: number) => Promise<Row>): Entity<number, Row> {
  return cache.entity<number, Row>({ name: "row", ttl: "1h", load });
}

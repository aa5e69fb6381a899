import { createCache, memory } from "../../src/index.js";
import { postgresFeed } from "../../src/postgres/feed.js";
import { redis } from "../../src/redis/index.js";
import { openRooms } from "../core/rooms.js";
import { once } from "../memory/once.js";
import type { CaseResult, ContenderResult } from "../report.js";
import { startSource } from "../../test/support/postgres-source.js";
import type { Setting } from "../suite.js";
import { hundredths } from "./source.js";

/** How many rows a second one feed turns into acknowledged invalidations in Redis, by the size of transactions. */
export async function rate(setting: Setting): Promise<CaseResult[]> {
  const total = setting.quick ? 5_000 : 50_000;
  const source = await startSource({ connections: 4 });
  const rooms = openRooms(await setting.redis());
  const feed = postgresFeed({ connect: source.server.url, collapseAt: 1_000_000 });
  const cache = createCache({ name: "rate", tiers: [memory(), redis(await rooms.nodeRedis())], feed });
  try {
    await source.pool.query("CREATE TABLE items (id serial PRIMARY KEY, n int NOT NULL)");
    const entity = cache.entity<number, number>({ name: "item", load: async () => 0 });
    feed.table<{ id: number }>("items", { entity, id: (row) => row.id });
    await feed.ready();
    const contenders: ContenderResult[] = [];
    for (const size of [1, 10, 500]) {
      const rows = size === 1 ? Math.min(total, 5_000) : total;
      const started = performance.now();
      const cpu = process.cpuUsage();
      const insert = `INSERT INTO items (n) SELECT 1 FROM generate_series(1, ${size})`;
      for (let left = rows / size; left > 0; left -= 1) await source.pool.query(insert);
      const committed = performance.now();
      await feed.wait(await feed.token(), { timeout: "2m" });
      const done = performance.now();
      const { user, system } = process.cpuUsage(cpu);
      contenders.push(
        once(`${size} rows a transaction`, (user + system) / rows, contenders[0], {
          rows,
          "rows/s": Math.round((rows * 1_000) / (done - started)),
          "behind at the end, ms": hundredths(done - committed),
        }),
      );
    }
    const what = "CPU of this process for each row, writing included; rows/s until the last is invalidated";
    return [{ name: "rate", what, baseline: "1 rows a transaction", contenders }];
  } finally {
    await cache.close();
    rooms.close();
    await source.close();
  }
}

import { createCache, memory } from "../../src/index.js";
import { postgresCounts } from "../../src/postgres/sink-counts.js";
import { postgresSink } from "../../src/postgres/sink.js";
import { redis, redisJournal } from "../../src/redis/index.js";
import { openRooms } from "../core/rooms.js";
import { once } from "../memory/once.js";
import type { CaseResult, ContenderResult } from "../report.js";
import { startSource, type Source } from "../../test/support/postgres-source.js";
import type { Setting } from "../suite.js";

const TOGETHER = 64;

/** Writes put into a journal in Redis and flushed to PostgreSQL, against the same writes straight to it. */
export async function flush(setting: Setting): Promise<CaseResult[]> {
  const writes = setting.quick ? 4_000 : 40_000;
  const source = await startSource({ connections: TOGETHER + 2 });
  const rooms = openRooms(await setting.redis());
  const client = await rooms.nodeRedis();
  const cache = createCache({ name: "flush", tiers: [memory(), redis(client)] });
  try {
    await source.pool.query("CREATE TABLE straight (id int PRIMARY KEY, n int NOT NULL)");
    await source.pool.query("CREATE TABLE behind (id int PRIMARY KEY, n int NOT NULL)");
    await source.pool.query("CREATE TABLE counts (id int PRIMARY KEY, n bigint NOT NULL)");
    const journal = redisJournal(client);
    const sink = postgresSink(source.pool, { table: "behind", key: "id" });
    const countSink = postgresCounts(source.pool, { table: "counts", key: "id", count: "n" });
    await sink.ensure();
    await countSink.ensure();
    const rows = cache.writeBehind<number, { id: number; n: number }>({
      name: "rows",
      journal,
      sink,
      flushEvery: "1h",
      load: async () => undefined,
    });
    const counter = cache.counter<number>("views", { journal, sink: countSink, flushEvery: "1h" });

    const contenders: ContenderResult[] = [];
    const measured = async (
      name: string,
      write: (at: number) => Promise<unknown>,
      end: () => Promise<unknown>,
    ): Promise<void> => {
      const cpu = process.cpuUsage();
      const started = performance.now();
      await together(writes, write);
      const written = performance.now();
      await end();
      const done = performance.now();
      const { user, system } = process.cpuUsage(cpu);
      contenders.push(
        once(name, (user + system) / writes, contenders[0], {
          "writes/s": perSecond(writes, written - started),
          "flushed/s": perSecond(writes, done - written),
          "in all/s": perSecond(writes, done - started),
        }),
      );
    };
    const insert = "INSERT INTO straight VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET n = straight.n + 1";
    await measured(
      "straight to PostgreSQL",
      (at) => source.pool.query(insert, [at]),
      async () => undefined,
    );
    await measured(
      "write-behind, other rows",
      (at) => rows.put(at, { id: at, n: 1 }),
      () => rows.flush(),
    );
    await measured(
      "write-behind, a hundred rows",
      (at) => rows.put(at % 100, { id: at % 100, n: at }),
      () => rows.flush(),
    );
    await measured(
      "counter, a hundred counts",
      (at) => counter.increment(at % 100),
      () => counter.flush(),
    );
    await expectAll(source, writes);
    const what = `${writes} writes, ${TOGETHER} at once; CPU of this process for each, flushing included`;
    return [{ name: "flush", what, baseline: "straight to PostgreSQL", contenders }];
  } finally {
    await cache.close();
    rooms.close();
    await source.close();
  }
}

/** A bench of writes that are not there would measure nothing. */
async function expectAll(source: Source, writes: number): Promise<void> {
  const { rows } = await source.pool.query<{ behind: number; counted: number }>(
    "SELECT (SELECT count(*)::int FROM behind) AS behind, (SELECT sum(n)::int FROM counts) AS counted",
  );
  const [found] = rows;
  if (found?.behind !== writes || found.counted !== writes)
    throw new Error(`Expected ${writes} rows and counts, got ${found?.behind} and ${found?.counted}`);
}

async function together(count: number, write: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) await write(at);
  };
  await Promise.all(Array.from({ length: TOGETHER }, one));
}

function perSecond(count: number, milliseconds: number): number {
  return milliseconds < 1 ? 0 : Math.round((count * 1_000) / milliseconds);
}

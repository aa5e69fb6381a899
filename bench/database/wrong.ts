import { createCache, memory, type Cache, type Entity } from "../../src/index.js";
import { postgresFeed } from "../../src/postgres/feed.js";
import { once } from "../memory/once.js";
import type { CaseResult, ContenderResult } from "../report.js";
import { startSource, type Source } from "../../test/support/postgres-source.js";
import type { Setting } from "../suite.js";
import { listen, notifying } from "./source.js";

const ROWS = 200;
const WRITERS = 3;
const READERS = 4;

interface Row {
  readonly id: number;
  readonly version: number;
}

/** Entries that are wrong after writes have stopped and everything told of them has arrived: in memory, with an hour to live. */
export async function wrong(setting: Setting): Promise<CaseResult[]> {
  const milliseconds = setting.quick ? 2_000 : 15_000;
  const source = await startSource({ connections: WRITERS + READERS + 2 });
  const caches: Cache[] = [];
  const contenders: ContenderResult[] = [];
  try {
    for (const table of ["fed", "told"]) {
      await source.pool.query(`CREATE TABLE ${table} (id int PRIMARY KEY, version int NOT NULL)`);
      await source.pool.query(`INSERT INTO ${table} SELECT id, 0 FROM generate_series(1, ${ROWS}) id`);
    }
    await source.pool.query(notifying("told"));
    const make = (name: string, table: string, feed?: ReturnType<typeof postgresFeed>): Entity<number, Row> => {
      const cache = createCache({ name, tiers: [memory()], feed });
      caches.push(cache);
      return cache.entity<number, Row>({ name: "row", ttl: "1h", load: (id) => read(source, table, id) });
    };
    const feed = postgresFeed({ connect: source.server.url, maxStaleness: "1m" });
    const fed = make("fed", "fed", feed);
    feed.table<Row>("fed", { entity: fed, id: (row) => row.id });
    await feed.ready();
    contenders.push(
      await played("postgresFeed", source, "fed", fed, milliseconds, undefined, async () =>
        feed.wait(await feed.token(), { timeout: "1m" }),
      ),
    );
    const told = make("told", "told");
    const stop = await listen(source.server.url, "told", (id) => void told.invalidate(Number(id)));
    contenders.push(
      await played("NOTIFY trigger, delete on event", source, "told", told, milliseconds, contenders[0], pause),
    );
    await stop();
    const what = `${ROWS} rows, ${WRITERS} writers, ${READERS} readers for ${milliseconds / 1_000} s; then all is compared`;
    return [{ name: "wrong", what, baseline: "postgresFeed", contenders }];
  } finally {
    await Promise.all(caches.map((cache) => cache.close()));
    await source.close();
  }
}

async function read(source: Source, table: string, id: number): Promise<Row> {
  const { rows } = await source.pool.query<Row>(`SELECT id, version FROM ${table} WHERE id = $1`, [id]);
  return rows[0] as Row;
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_000));

async function played(
  name: string,
  source: Source,
  table: string,
  entity: Entity<number, Row>,
  milliseconds: number,
  baseline: ContenderResult | undefined,
  settled: () => Promise<void>,
): Promise<ContenderResult> {
  const end = performance.now() + milliseconds;
  const cpu = process.cpuUsage();
  let writes = 0;
  let reads = 0;
  const any = (): number => 1 + Math.floor(Math.random() * ROWS);
  const writer = async (): Promise<void> => {
    while (performance.now() < end) {
      await source.pool.query(`UPDATE ${table} SET version = version + 1 WHERE id = $1`, [any()]);
      writes += 1;
    }
  };
  const reader = async (): Promise<void> => {
    while (performance.now() < end) {
      await entity.get(any());
      reads += 1;
      if (reads % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all([...Array.from({ length: WRITERS }, writer), ...Array.from({ length: READERS }, reader)]);
  await settled();
  const { user, system } = process.cpuUsage(cpu);
  let wrongs = 0;
  let held = 0;
  for (let id = 1; id <= ROWS; id += 1) {
    const cached = entity.peek(id);
    if (cached === undefined) continue;
    held += 1;
    if (cached.version !== (await read(source, table, id)).version) wrongs += 1;
  }
  return once(name, (user + system) / Math.max(1, reads), baseline, { writes, reads, held, wrong: wrongs });
}

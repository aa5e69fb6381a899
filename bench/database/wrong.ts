import { fork, type ChildProcess } from "node:child_process";
import { once as event } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { createCache, memory, type Cache } from "../../src/index.js";
import { postgresFeed } from "../../src/postgres/feed.js";
import { startSource, type Source } from "../../test/support/postgres-source.js";
import { once } from "../memory/once.js";
import type { CaseResult, ContenderResult } from "../report.js";
import type { Setting } from "../suite.js";
import { cachedRows, type Library, type Row, type Writing } from "./cached-rows.js";
import { listen, notifying } from "./source.js";

const ROWS = 200;
const READERS = 4;
const WRITERS = 3;
/** Of each writer, in a burst. */
const WRITES = 30;
/** What an event or an answer under way may take, where nothing says that it has come; milliseconds. */
const GRACE = 300;

/** A cache of rows that somebody else writes. */
interface Contender {
  readonly name: string;
  readonly writing: Writing;
  read(id: number): Promise<Row | undefined>;
  /** What is cached of a row, and would be served; `undefined` when nothing is. */
  cached(id: number): Promise<Row | undefined>;
  /** Resolves when whatever tells it of writes has had its time. */
  settled(): Promise<void>;
  close(): Promise<unknown>;
}

/**
 * Entries that are wrong after writes have stopped and everything told of them has arrived, and answers older than what was so before
 * the burst they were given in. The writers are another process, as other services are; readers read on until all has arrived.
 */
export async function wrong(setting: Setting): Promise<CaseResult[]> {
  const rounds = setting.quick ? 3 : 40;
  const source = await startSource({ connections: READERS + 2 });
  try {
    for (const table of ["fed", "told", "drizzled", "person"]) {
      const column = columnOf(table);
      await source.pool.query(`CREATE TABLE ${table} (id int PRIMARY KEY, ${column} int NOT NULL)`);
      await source.pool.query(`INSERT INTO ${table} SELECT id, 0 FROM generate_series(1, ${ROWS}) id`);
    }
    await source.pool.query(notifying("told"));
    const { url } = await setting.redis();
    const past = "every third write by SQL";
    const all: (() => Promise<Contender>)[] = [
      () => fed(source),
      () => told(source),
      () => through("Drizzle's cache, on Redis", "drizzle", 0, source, url),
      () => through(`the same, ${past}`, "drizzle", 1, source, url),
      () => through("prisma-extension-redis, auto", "prisma auto", 0, source, url),
      () => through("prisma-extension-redis, uncache by key", "prisma keys", 0, source, url),
      () => through(`prisma-extension-redis, auto, ${past}`, "prisma auto", 1, source, url),
      () => through(`prisma-extension-redis, uncache by key, ${past}`, "prisma keys", 1, source, url),
    ];
    const contenders: ContenderResult[] = [];
    for (const contender of all) contenders.push(await played(await contender(), source, rounds, contenders[0]));
    const what = `${ROWS} rows; ${rounds} times three writers in their own process write ${WRITES} times each while ${READERS} readers read, and when that has settled all that is cached is compared`;
    return [{ name: "wrong", what, baseline: "postgresFeed", contenders }];
  } finally {
    await source.close();
  }
}

/** Prisma's model has no `version`. */
function columnOf(table: string): string {
  return table === "person" ? "team_id" : "version";
}

function writingOf(source: Source, table: string, redisUrl: string, writers: readonly Library[]): Writing {
  return {
    url: source.server.url,
    redisUrl,
    table,
    column: columnOf(table),
    rows: ROWS,
    writers,
    writes: WRITES,
  };
}

async function fed(source: Source): Promise<Contender> {
  const feed = postgresFeed({ connect: source.server.url, maxStaleness: "1m" });
  const { cache, entity } = inMemory("fed", source, feed);
  feed.table<Row>("fed", { entity, id: (row) => row.id });
  await feed.ready();
  return {
    name: "postgresFeed",
    writing: writingOf(source, "fed", "", Array<Library>(WRITERS).fill("sql")),
    read: (id) => entity.get(id),
    cached: async (id) => entity.peek(id),
    settled: async () => feed.wait(await feed.token(), { timeout: "1m" }),
    close: () => cache.close(),
  };
}

async function told(source: Source): Promise<Contender> {
  const { cache, entity } = inMemory("told", source);
  const stop = await listen(source.server.url, "told", (id) => void entity.invalidate(Number(id)));
  return {
    name: "NOTIFY trigger, delete on event",
    writing: writingOf(source, "told", "", Array<Library>(WRITERS).fill("sql")),
    read: (id) => entity.get(id),
    cached: async (id) => entity.peek(id),
    settled: () => pause(GRACE),
    close: () => Promise.all([stop(), cache.close()]),
  };
}

/** Rows in Redis whose writers say what they wrote, but for those that know of no cache: there is nothing else that would. */
async function through(
  name: string,
  library: Exclude<Library, "sql">,
  past: number,
  source: Source,
  redisUrl: string,
): Promise<Contender> {
  const writers = Array.from({ length: WRITERS }, (_, at) => (at < past ? "sql" : library));
  const writing = writingOf(source, library === "drizzle" ? "drizzled" : "person", redisUrl, writers);
  const rows = await cachedRows(library, source.pool, writing);
  await rows.forget();
  return {
    name,
    writing,
    read: (id) => rows.read(id),
    cached: async (id) => {
      const { hits } = rows;
      const row = await rows.read(id);
      return rows.hits > hits ? row : undefined;
    },
    settled: () => pause(GRACE),
    close: () => rows.close(),
  };
}

function inMemory(
  table: string,
  source: Source,
  feed?: ReturnType<typeof postgresFeed>,
): { readonly cache: Cache; readonly entity: ReturnType<typeof entityOn> } {
  const cache = createCache({ name: table, tiers: [memory()], feed });
  return { cache, entity: entityOn(cache, table, source) };
}

function entityOn(cache: Cache, table: string, source: Source): ReturnType<typeof cache.entity<number, Row>> {
  return cache.entity<number, Row>({
    name: "row",
    ttl: "1h",
    load: async (id) => {
      const { rows } = await source.pool.query<Row>(`SELECT id, version FROM ${table} WHERE id = $1`, [id]);
      return rows[0] as Row;
    },
  });
}

async function played(
  contender: Contender,
  source: Source,
  rounds: number,
  baseline: ContenderResult | undefined,
): Promise<ContenderResult> {
  const { table, column } = contender.writing;
  const writer = await startWriter(contender.writing);
  const counts = { writes: 0, reads: 0, late: 0, compared: 0, wrong: 0 };
  let before = new Map<number, number>();
  let cpu = 0;
  try {
    for (let round = 0; round < rounds; round += 1) {
      const started = process.cpuUsage();
      const written = event(writer, "message") as Promise<[number]>;
      writer.send("burst");
      const burst = { isOver: false };
      const reader = async (): Promise<void> => {
        while (!burst.isOver) {
          const id = 1 + Math.floor(Math.random() * ROWS);
          const row = await contender.read(id);
          counts.reads += 1;
          if (row !== undefined && row.version < (before.get(id) ?? 0)) counts.late += 1;
          if (counts.reads % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const readers = Promise.all(Array.from({ length: READERS }, reader));
      counts.writes += (await written)[0];
      await contender.settled();
      burst.isOver = true;
      await readers;
      const { user, system } = process.cpuUsage(started);
      cpu += user + system;
      const { rows } = await source.pool.query<Row>(`SELECT id, ${column} AS version FROM ${table}`);
      before = new Map(rows.map(({ id, version }) => [id, version]));
      for (const row of rows) {
        const cached = await contender.cached(row.id);
        if (cached === undefined) continue;
        counts.compared += 1;
        if (cached.version !== row.version) counts.wrong += 1;
      }
    }
  } finally {
    const ended = event(writer, "exit");
    writer.disconnect();
    await ended;
    await contender.close();
  }
  return once(contender.name, cpu / Math.max(1, counts.reads), baseline, counts);
}

async function startWriter(writing: Writing): Promise<ChildProcess> {
  const program = fileURLToPath(new URL("wrong-writer.js", import.meta.url));
  const child = fork(program, [JSON.stringify(writing)]);
  const failed = event(child, "exit").then(([code]: unknown[]) => {
    throw new Error(`The writers ended: ${String(code)}`);
  });
  // It ends when the bench lets it go, too.
  failed.catch(() => undefined);
  await Promise.race([event(child, "message"), failed]);
  return child;
}

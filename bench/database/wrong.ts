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
import { connectRedis, drizzledRows } from "./drizzle-cache.js";
import { listen, notifying } from "./source.js";

const ROWS = 200;
const READERS = 4;
const BURST = 200;
/** What an event or an answer under way may take, where nothing says that it has come; milliseconds. */
const GRACE = 300;

interface Row {
  readonly id: number;
  readonly version: number;
}

/** A cache of rows that somebody else writes. */
interface Contender {
  readonly name: string;
  readonly table: string;
  /** Where its writers find its cache, if they are to tell it of what they write. */
  readonly redisUrl: string;
  read(id: number): Promise<Row | undefined>;
  /** What is cached of a row, and would be served; `undefined` when nothing is. */
  cached(id: number): Promise<Row | undefined>;
  /** Resolves when whatever tells it of writes has had its time. */
  settled(): Promise<void>;
}

/**
 * Entries that are wrong after writes have stopped and everything told of them has arrived. The writers are another process, as other
 * services are; readers read on while they write.
 */
export async function wrong(setting: Setting): Promise<CaseResult[]> {
  const rounds = setting.quick ? 5 : 50;
  const source = await startSource({ connections: READERS + 2 });
  const closing: (() => unknown)[] = [];
  try {
    for (const table of ["fed", "told", "drizzled"]) {
      await source.pool.query(`CREATE TABLE ${table} (id int PRIMARY KEY, version int NOT NULL)`);
      await source.pool.query(`INSERT INTO ${table} SELECT id, 0 FROM generate_series(1, ${ROWS}) id`);
    }
    await source.pool.query(notifying("told"));
    const all = [
      await fed(source, closing),
      await told(source, closing),
      await drizzleOn(source, (await setting.redis()).url, closing),
    ];
    const contenders: ContenderResult[] = [];
    for (const contender of all) contenders.push(await played(contender, source, rounds, contenders[0]));
    const what = `${ROWS} rows; ${rounds} times three writers in their own process write for ${BURST} ms while ${READERS} readers read, then all that is cached is compared`;
    return [{ name: "wrong", what, baseline: "postgresFeed", contenders }];
  } finally {
    for (const close of closing.reverse()) await close();
    await source.close();
  }
}

async function fed(source: Source, closing: (() => unknown)[]): Promise<Contender> {
  const feed = postgresFeed({ connect: source.server.url, maxStaleness: "1m" });
  const { cache, entity } = inMemory("fed", source, feed);
  closing.push(() => cache.close());
  feed.table<Row>("fed", { entity, id: (row) => row.id });
  await feed.ready();
  return {
    name: "postgresFeed",
    table: "fed",
    redisUrl: "",
    read: (id) => entity.get(id),
    cached: async (id) => entity.peek(id),
    settled: async () => feed.wait(await feed.token(), { timeout: "1m" }),
  };
}

async function told(source: Source, closing: (() => unknown)[]): Promise<Contender> {
  const { cache, entity } = inMemory("told", source);
  closing.push(() => cache.close());
  closing.push(await listen(source.server.url, "told", (id) => void entity.invalidate(Number(id))));
  return {
    name: "NOTIFY trigger, delete on event",
    table: "told",
    redisUrl: "",
    read: (id) => entity.get(id),
    cached: async (id) => entity.peek(id),
    settled: () => pause(GRACE),
  };
}

/** Its writers invalidate in the same Redis: there is nothing else that would. */
async function drizzleOn(source: Source, redisUrl: string, closing: (() => unknown)[]): Promise<Contender> {
  const client = await connectRedis(redisUrl);
  closing.push(() => client.destroy());
  const rows = drizzledRows(source.pool, client);
  return {
    name: "Drizzle's cache, on Redis",
    table: "drizzled",
    redisUrl,
    read: (id) => rows.read(id),
    cached: async (id) => {
      const { hits } = rows.cache;
      const row = await rows.read(id);
      return rows.cache.hits > hits ? row : undefined;
    },
    settled: () => pause(GRACE),
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
  const { name, table, redisUrl } = contender;
  const writer = await startWriter(source.server.url, table, redisUrl);
  const counts = { writes: 0, reads: 0, compared: 0, wrong: 0 };
  let cpu = 0;
  try {
    for (let round = 0; round < rounds; round += 1) {
      const before = process.cpuUsage();
      const written = event(writer, "message") as Promise<[number]>;
      writer.send(BURST);
      const burst = { isOver: false };
      const reader = async (): Promise<void> => {
        while (!burst.isOver) {
          await contender.read(1 + Math.floor(Math.random() * ROWS));
          counts.reads += 1;
          if (counts.reads % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const readers = Promise.all(Array.from({ length: READERS }, reader));
      counts.writes += (await written)[0];
      burst.isOver = true;
      await readers;
      const { user, system } = process.cpuUsage(before);
      cpu += user + system;
      await contender.settled();
      const { rows } = await source.pool.query<Row>(`SELECT id, version FROM ${table}`);
      for (const row of rows) {
        const cached = await contender.cached(row.id);
        if (cached === undefined) continue;
        counts.compared += 1;
        if (cached.version !== row.version) counts.wrong += 1;
      }
    }
  } finally {
    writer.disconnect();
  }
  return once(name, cpu / Math.max(1, counts.reads), baseline, counts);
}

async function startWriter(...args: readonly [url: string, table: string, redisUrl: string]): Promise<ChildProcess> {
  const program = fileURLToPath(new URL("wrong-writer.js", import.meta.url));
  const child = fork(program, [...args, String(ROWS)]);
  const failed = event(child, "exit").then(([code]: unknown[]) => {
    throw new Error(`The writers ended: ${String(code)}`);
  });
  // It ends when the bench lets it go, too.
  failed.catch(() => undefined);
  await Promise.race([event(child, "message"), failed]);
  return child;
}

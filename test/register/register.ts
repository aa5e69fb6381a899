import { startPostgres } from "../../scripts/servers/postgres.js";
import { openProxy, type Proxy } from "../faults/proxy.js";
import { startRedis } from "../support/redis-server.js";
import { Child } from "./children.js";
import { History, type Verdict } from "./history.js";
import { NEMESES, sleep, sql, type World } from "./nemesis.js";
import type { FromChild, Variant } from "./protocol.js";

export interface RegisterOptions {
  readonly variant?: Variant | undefined;
  /** @default "replication" */
  readonly method?: "replication" | "outbox" | undefined;
  /** How long everything runs, in seconds. @default 60 */
  readonly seconds?: number | undefined;
  /** Goes on for up to three times as long until there were so many reads. @default 0 */
  readonly leastReads?: number | undefined;
  /** B, in milliseconds. @default 1000 */
  readonly bound?: number | undefined;
  /** Reads each 20 ms in each of two processes. @default 400 */
  readonly burst?: number | undefined;
  readonly rows?: number | undefined;
  readonly seed?: number | undefined;
  /** Only these. @default all */
  readonly nemeses?: readonly string[] | undefined;
  readonly log?: ((line: string) => void) | undefined;
}

export interface RegisterResult extends Verdict {
  readonly failed: number;
  readonly loads: number;
  readonly rolledBack: number;
  readonly strikes: number;
  /** Entries that were wrong after everything was quiet. */
  readonly wrong: number;
  readonly news: ReadonlyMap<string, number>;
}

/**
 * Several processes write rows, others read them through memory and Redis and feed them, and everything is broken in turn. No
 * read may be staler than B, and when all is quiet no entry may be wrong.
 */
export async function runRegister(options: RegisterOptions = {}): Promise<RegisterResult> {
  const {
    variant = "whole",
    method = "replication",
    seconds = 60,
    bound = 1_000,
    burst = 400,
    rows = 200,
    seed = 1,
    log = () => undefined,
  } = options;
  const postgres = await startPostgres({
    settings: {
      synchronous_commit: "on",
      max_wal_senders: "10",
      max_replication_slots: "10",
      wal_writer_delay: "20ms",
    },
  });
  const redis = await startRedis();
  const history = new History();
  const news = new Map<string, number>();
  const proxies: Proxy[] = [];
  const readers = new Map<Child, () => Promise<Child>>();
  const writers: Child[] = [];
  const hear = (message: FromChild): void => {
    if (message.type === "seen") {
      history.reads += message.reads;
      history.failed += message.failed;
      history.loads += message.loads;
      history.seen(message.seen);
    } else if (message.type === "acknowledged") {
      history.rolledBack += message.rolledBack;
      history.acknowledged(message.acknowledged);
    } else if (message.type === "news") {
      news.set(message.what, (news.get(message.what) ?? 0) + 1);
      log(`  news: ${message.what}`);
    }
  };
  try {
    await sql(postgres.url, "CREATE TABLE registers (id int PRIMARY KEY, version int NOT NULL)");
    await sql(postgres.url, `INSERT INTO registers SELECT n, 1 FROM generate_series(0, ${rows - 1}) AS n`);
    for (const count of [burst, burst, 0]) {
      const proxy = await openProxy(redis.port);
      proxies.push(proxy);
      const start = async (): Promise<Child> => {
        const child = await Child.start(hear);
        const settings = { postgres: postgres.url, redis: proxy.url, bound, rows, variant, method, burst: count };
        child.begin({ type: "read", settings });
        readers.set(child, start);
        return child;
      };
      await start();
    }
    for (const n of [1, 2]) {
      const writer = await Child.start(hear);
      writer.begin({ type: "write", settings: { postgres: postgres.url, rows, seed: seed * 100 + n } });
      writers.push(writer);
    }
    const world: World = {
      postgres: postgres.url,
      redis,
      proxies,
      bound,
      async leader() {
        for (const child of readers.keys())
          if ((await child.ask("role").catch(() => undefined)) === "leader") return child;
        return undefined;
      },
      async replace(child) {
        const start = readers.get(child);
        readers.delete(child);
        await start?.();
      },
    };
    const [start, least] = [Date.now(), options.leastReads ?? 0];
    const goesOn = (): boolean => Date.now() < start + seconds * (history.reads < least ? 3_000 : 1_000);
    const strikes = await strikeWhile(goesOn, world, options.nemeses, log);
    for (const writer of writers) await writer.ask("stop");
    const wrong = await wrongAfterQuiet(postgres.url, [...readers.keys()], bound);
    for (const reader of readers.keys()) await reader.ask("stop");
    const { failed, loads, rolledBack } = history;
    return { ...history.judge(bound), failed, loads, rolledBack, strikes, wrong, news };
  } finally {
    await Promise.all([...readers.keys(), ...writers].map((child) => child.kill()));
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await redis.stop();
    await postgres.stop();
  }
}

async function strikeWhile(
  goesOn: () => boolean,
  world: World,
  wanted: readonly string[] | undefined,
  log: (line: string) => void,
): Promise<number> {
  const nemeses = NEMESES.filter(({ name }) => wanted === undefined || wanted.includes(name));
  let strikes = 0;
  while (goesOn()) {
    await sleep(3 * world.bound);
    const nemesis = nemeses[strikes % Math.max(1, nemeses.length)];
    if (nemesis === undefined || !goesOn()) continue;
    log(nemesis.name);
    await nemesis.strike(world);
    strikes += 1;
  }
  return strikes;
}

/** Waits until every process has what the database has, for at most ten seconds. @returns how many entries never do. */
async function wrongAfterQuiet(postgres: string, readers: readonly Child[], bound: number): Promise<number> {
  const { rows } = await sql(postgres, "SELECT version FROM registers ORDER BY id");
  const right = rows.map((row: { version: number }) => row.version);
  await sleep(2 * bound);
  let wrong = 0;
  for (const reader of readers) {
    const values = await reader.ask("values");
    if (!Array.isArray(values)) throw new Error(`A reader could not read: ${JSON.stringify(values)}`);
    wrong += right.filter((version, row) => values[row] !== version).length;
  }
  return wrong;
}

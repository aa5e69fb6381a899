import { createCache, memory } from "../../src/index.js";
import { postgresFeed } from "../../src/postgres/feed.js";
import { once } from "../memory/once.js";
import type { CaseResult, ContenderResult } from "../report.js";
import { startSource } from "../../test/support/postgres-source.js";
import type { Setting } from "../suite.js";
import { hundredths, notifying, quantile } from "./source.js";

const CLIENTS = 8;
const ROWS = 10_000;

/** What it costs writers that somebody listens: transactions a second of eight clients, in turns. */
export async function writers(setting: Setting): Promise<CaseResult[]> {
  const rounds = setting.quick ? 3 : 15;
  const slice = setting.quick ? 400 : 1_000;
  const source = await startSource({ connections: CLIENTS + 2 });
  const closing: (() => Promise<void>)[] = [];
  try {
    for (const table of ["plain", "replicated", "outboxed", "notified"]) {
      await source.pool.query(`CREATE TABLE ${table} (id int PRIMARY KEY, n int NOT NULL)`);
      await source.pool.query(`INSERT INTO ${table} SELECT id, 0 FROM generate_series(1, ${ROWS}) id`);
    }
    await source.pool.query(notifying("notified"));
    for (const method of ["replication", "outbox"] as const) {
      const feed = postgresFeed({
        connect: source.server.url,
        method,
        slot: `bench_${method}`,
        publication: `bench_${method}`,
      });
      const cache = createCache({ name: method, tiers: [memory()], feed });
      const entity = cache.entity<number, number>({ name: "row", load: async () => 0 });
      feed.table<{ id: number }>(method === "outbox" ? "outboxed" : "replicated", { entity, id: (row) => row.id });
      closing.push(() => cache.close());
      await feed.ready();
    }
    const tables = {
      "nobody listens": "plain",
      postgresFeed: "replicated",
      "postgresFeed, outbox": "outboxed",
      "NOTIFY trigger": "notified",
    } as const;
    const rates = new Map<string, number[]>();
    for (let round = 0; round < rounds + 1; round += 1) {
      for (const [name, table] of Object.entries(tables)) {
        const rate = await written(source.pool, table, slice);
        // The first round warms up.
        if (round > 0) rates.set(name, [...(rates.get(name) ?? []), rate]);
      }
    }
    const base = rates.get("nobody listens") ?? [];
    const contenders: ContenderResult[] = [];
    for (const [name, own] of rates) {
      const paired = own.map((rate, at) => rate / (base[at] ?? Number.NaN));
      contenders.push(
        once(name, 1e6 / quantile(own, 0.5), contenders[0], {
          "tx/s": Math.round(quantile(own, 0.5)),
          "of nobody's": hundredths(quantile(paired, 0.5)),
          lowest: hundredths(Math.min(...paired)),
          highest: hundredths(Math.max(...paired)),
        }),
      );
    }
    const what = `transactions of one UPDATE, ${CLIENTS} clients, ${rounds} rounds of ${slice} ms each (wall clock of the machine's cores, shared with the server)`;
    return [{ name: "writers", what, baseline: "nobody listens", contenders }];
  } finally {
    await Promise.all(closing.map((close) => close()));
    await source.close();
  }
}

async function written(
  pool: { query(text: string, values: unknown[]): Promise<unknown> },
  table: string,
  milliseconds: number,
): Promise<number> {
  const end = performance.now() + milliseconds;
  let count = 0;
  let next = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      next = (next + 7919) % ROWS;
      await pool.query(`UPDATE ${table} SET n = n + 1 WHERE id = $1`, [next + 1]);
      count += 1;
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return (count * 1_000) / (performance.now() - started);
}

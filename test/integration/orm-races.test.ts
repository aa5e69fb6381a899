import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";

import { startPostgres, type PostgresServer } from "../../scripts/servers/postgres.js";
import { createCache, memory } from "../../src/index.js";
import { kyselyCache } from "../../src/orm/kysely.js";
import { cachedPool } from "../../src/postgres/queries-pg.js";
import { inTransaction } from "../../src/postgres/transactional.js";
import { SharedMemory } from "../../src/testing/index.js";

/**
 * Many writers and readers at once, on two caches over one shared tier: no reader ever sees what was not committed, a
 * transaction sees what it wrote, and when all is quiet both caches hold what the database holds.
 */

const ROWS = 4;
const WRITERS = 6;
const READERS = 6;
const TRANSACTIONS = 40;
/** A reader that is answered from memory gives way now and then, or the writers never get their answers. */
const READS_A_TURN = 5;

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

interface Side {
  read(row: number): Promise<string>;
  /** A transaction by the tool's own means; `undefined` is a rollback. */
  transaction(body: (at: Inside) => Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}
interface Inside {
  read(row: number): Promise<string>;
  write(row: number, value: string): Promise<unknown>;
  text(sql: string): Promise<unknown>;
}

class Undo extends Error {}

function pgSide(shared: SharedMemory): Side {
  const cache = createCache({ name: "races", tiers: [memory(), shared.factory()] });
  const pool = cachedPool(new pg.Pool({ connectionString: server.url, max: 10 }), { cache });
  pool.on("error", () => undefined);
  const ask = (row: number) => ({ text: "SELECT value FROM cell WHERE id = $1", values: [row], cache: { ttl: "1m" } });
  return {
    read: async (row) => (await pool.query<{ value: string }>(ask(row))).rows[0]?.value as string,
    transaction: async (body) => {
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        const isKept = await body({
          read: async (row) => (await client.query<{ value: string }>(ask(row))).rows[0]?.value as string,
          write: (row, value) => client.query("UPDATE cell SET value = $2 WHERE id = $1", [row, value]),
          text: (sql) => client.query(sql),
        });
        await client.query(isKept ? "COMMIT" : "ROLLBACK");
      } finally {
        client.release();
      }
    },
    close: async () => {
      await pool.end();
      await cache.close();
    },
  };
}

function kyselySide(shared: SharedMemory): Side {
  const cache = createCache({ name: "races", tiers: [memory(), shared.factory()] });
  const caching = kyselyCache({ cache });
  const pool = new pg.Pool({ connectionString: server.url, max: 10 });
  pool.on("error", () => undefined);
  const db = new Kysely<{ cell: { id: number; value: string } }>({
    dialect: caching.dialect(new PostgresDialect({ pool })),
  });
  const read = async (at: typeof db, row: number): Promise<string> =>
    (
      await at
        .selectFrom("cell")
        .select("value")
        .where("id", "=", row)
        .withPlugin(caching.cached({ ttl: "1m" }))
        .executeTakeFirstOrThrow()
    ).value;
  return {
    read: (row) => read(db, row),
    transaction: async (body) => {
      const running = inTransaction(caching.cache, () =>
        db.transaction().execute(async (transaction) => {
          const isKept = await body({
            read: (row) => read(transaction, row),
            write: (row, value) => transaction.updateTable("cell").set({ value }).where("id", "=", row).execute(),
            text: (sql) => transaction.executeQuery({ ...raw, sql }),
          });
          if (!isKept) throw new Undo();
        }),
      );
      await running.catch((error: unknown) => {
        if (!(error instanceof Undo)) throw error;
      });
    },
    close: async () => {
      await db.destroy();
      await cache.close();
    },
  };
}

const raw = new Kysely<object>({
  dialect: new PostgresDialect({ pool: async () => Promise.reject(new Error("compiles only")) }),
})
  .selectNoFrom((eb) => eb.lit(1).as("one"))
  .compile();

/** The same course each time, as far as the database lets it. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

it.each([
  ["pg", pgSide],
  ["kysely", kyselySide],
] as const)(
  "keeps what was not committed from every reader, under load: %s",
  async (_, make) => {
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query("DROP TABLE IF EXISTS cell; CREATE TABLE cell (id int PRIMARY KEY, value text NOT NULL)");
    await admin.query(`INSERT INTO cell SELECT n, 'initial' FROM generate_series(0, ${ROWS - 1}) n`);
    const shared = new SharedMemory();
    const sides = [make(shared), make(shared)];
    const committed = new Set(["initial"]);
    const seen = new Set<string>();
    const writing = new Set(Array.from({ length: WRITERS }, (_, number) => number));
    let reads = 0;

    const writer = async (number: number): Promise<void> => {
      const random = chance(number + 1);
      const side = sides[number % 2] as Side;
      for (let n = 0; n < TRANSACTIONS; n++) {
        const final = new Map<number, string>();
        let isKept = false;
        await side.transaction(async (at) => {
          // In the order of the rows: no deadlocks.
          for (let row = random(ROWS); row < ROWS; row += 1 + random(2)) {
            const value = `${number}-${n}-${row}`;
            await at.write(row, value);
            final.set(row, value);
            if (random(3) === 0) {
              await at.text("SAVEPOINT s");
              await at.write(row, `${value}-taken-back`);
              expect(await at.read(row)).toBe(`${value}-taken-back`);
              await at.text("ROLLBACK TO s");
            }
            expect(await at.read(row)).toBe(value);
          }
          isKept = random(3) > 0;
          // Before the commit is sent: a reader may see it before its answer is here.
          if (isKept) for (const value of final.values()) committed.add(value);
          return isKept;
        });
      }
      writing.delete(number);
    };
    const reader = async (number: number): Promise<void> => {
      const random = chance(1_000 + number);
      while (writing.size > 0) {
        seen.add(await (sides[number % 2] as Side).read(random(ROWS)));
        reads += 1;
        if (reads % READS_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all([
      ...Array.from({ length: WRITERS }, (_, number) => writer(number)),
      ...Array.from({ length: READERS }, (_, number) => reader(number)),
    ]);
    expect([...seen].filter((value) => !committed.has(value))).toEqual([]);
    expect(seen.size).toBeGreaterThan(10);
    const { rows } = await admin.query<{ value: string }>("SELECT value FROM cell ORDER BY id");
    const truth = rows.map((row) => row.value);
    for (const side of sides) {
      const held = (): Promise<string[]> => Promise.all(truth.map((_, row) => side.read(row)));
      await expect.poll(held, { timeout: 5_000 }).toEqual(truth);
    }
    for (const side of sides) await side.close();
    await admin.end();
  },
  120_000,
);

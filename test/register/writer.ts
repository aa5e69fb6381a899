import pg from "pg";

import { Random } from "../simulation/random.js";
import { now, type Acknowledged, type FromChild, type WriterSettings } from "./protocol.js";

/** Transactions under way at once. */
const LANES = 4;
const REPORT_EVERY = 200;

type Step = (client: pg.PoolClient) => Promise<Map<number, number>>;

/** A process that writes rows, in every way a transaction may go. */
export function startWriter(
  settings: WriterSettings,
  send: (message: FromChild) => void,
): (what: string) => Promise<unknown> {
  const pool = new pg.Pool({ connectionString: settings.postgres, max: LANES, connectionTimeoutMillis: 2_000 });
  pool.on("error", () => undefined);
  const random = new Random(settings.seed);
  let acknowledged: Acknowledged[] = [];
  let rolledBack = 0;
  const stopping = new AbortController();
  const report = (): void => {
    send({ type: "acknowledged", rolledBack, acknowledged });
    acknowledged = [];
    rolledBack = 0;
  };
  const lane = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const written = await transaction(pool, random, settings.rows);
        if (written === undefined) rolledBack += 1;
        const at = now();
        for (const [row, version] of written ?? []) acknowledged.push([row, version, at]);
      } catch {
        // The server is away: what the lost commit came to, nobody knows.
        await sleep(50);
      }
      await sleep(random.below(30));
    }
  };
  const lanes = Array.from({ length: LANES }, lane);
  const reports = setInterval(report, REPORT_EVERY);
  return async () => {
    stopping.abort();
    await Promise.all(lanes);
    clearInterval(reports);
    report();
    await pool.end();
    return undefined;
  };
}

/** One transaction. @returns what it committed; `undefined` when it was rolled back. */
async function transaction(pool: pg.Pool, random: Random, rows: number): Promise<Map<number, number> | undefined> {
  const client = await pool.connect();
  // A connection that dies between two queries says so here, and in the next query.
  client.on("error", () => undefined);
  let broken = true;
  try {
    const step = random.pick([single, single, single, several, long, rolledBack, savepoint]);
    const written = await step(client);
    broken = false;
    return written.size === 0 ? undefined : written;
  } finally {
    client.removeAllListeners("error");
    client.release(broken);
  }

  async function bump(client: pg.PoolClient, row: number, into: Map<number, number>): Promise<void> {
    const { rows: found } = await client.query(
      "UPDATE registers SET version = version + 1 WHERE id = $1 RETURNING version",
      [row],
    );
    into.set(row, (found[0] as { version: number }).version);
  }
  /** In one order, so that no two transactions wait for each other. */
  function some(count: number): number[] {
    return [...new Set(Array.from({ length: count }, () => random.below(rows)))].sort((a, b) => a - b);
  }
  async function single(client: pg.PoolClient): ReturnType<Step> {
    const written = new Map<number, number>();
    await bump(client, random.below(rows), written);
    return written;
  }
  async function inTransaction(
    client: pg.PoolClient,
    work: (written: Map<number, number>) => Promise<void>,
  ): ReturnType<Step> {
    const written = new Map<number, number>();
    await client.query("BEGIN");
    await work(written);
    await client.query("COMMIT");
    return written;
  }
  function several(client: pg.PoolClient): ReturnType<Step> {
    return inTransaction(client, async (written) => {
      for (const row of some(4)) await bump(client, row, written);
    });
  }
  function long(client: pg.PoolClient): ReturnType<Step> {
    return inTransaction(client, async (written) => {
      for (const row of some(2)) {
        await bump(client, row, written);
        await sleep(150);
      }
    });
  }
  async function rolledBack(client: pg.PoolClient): ReturnType<Step> {
    await client.query("BEGIN");
    for (const row of some(2)) await bump(client, row, new Map());
    await client.query("ROLLBACK");
    return new Map();
  }
  function savepoint(client: pg.PoolClient): ReturnType<Step> {
    return inTransaction(client, async (written) => {
      const [first, second, third] = some(3);
      if (first !== undefined) await bump(client, first, written);
      await client.query("SAVEPOINT half");
      if (second !== undefined) await bump(client, second, new Map());
      await client.query("ROLLBACK TO half");
      if (third !== undefined) await bump(client, third, written);
    });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Pool } from "pg";
import { postgresCounts } from "../../src/postgres/sink-counts.js";
import { Random } from "../simulation/random.js";

/** What a process of the proof is told when it starts. */
export interface ProofSettings {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly client: "ioredis" | "node-redis";
  /** The folder of a journal in a file; without it the journal is in Redis. */
  readonly folder?: string | undefined;
  readonly variant: Variant;
  /** The step before, in or after which it kills itself, the so manieth time; one that never comes, and it lives. */
  readonly die: { readonly at: string; readonly count: number };
}

/** `sound`, or one of the ways that lose or double. */
export type Variant = "sound" | "take-then-update" | "update-then-decrement";

/** Operations to write, by one of the lanes that write at once. */
export interface Order {
  readonly from: number;
  readonly to: number;
  readonly lane: number;
}

export interface ProofOptions {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly pool: Pool;
  readonly folder?: string | undefined;
  readonly operations: number;
  readonly variant?: Variant | undefined;
  /** Where each process dies, one after the other. @default any step, by chance */
  readonly deaths?: readonly ProofSettings["die"][] | undefined;
  /** Processes that write at once. @default 2 */
  readonly lanes?: number | undefined;
  /** Most processes that die. */
  readonly maxDeaths: number;
  /** Called when that many operations were acknowledged, once; the orders from `since()` on are then given again. */
  readonly disturb?: { readonly at: readonly number[]; readonly run: (time: number) => Promise<void> } | undefined;
  readonly seed: number;
}

export interface ProofReport {
  readonly operations: number;
  readonly deaths: number;
  /** Sums of increments, over all counts. */
  readonly expected: number;
  readonly lost: number;
  readonly doubled: number;
  /** Rows that do not hold the last value written. */
  readonly wrongRows: number;
  /** Milliseconds. */
  readonly took: number;
}

const LANES = 2;
const ORDER = 1_000;
const COUNTS = 40;
const ROWS = 50;
const NEVER = { at: "never", count: 1 };
/** Where a process may die. */
const STEPS = ["append", "seal", "settle"]
  .concat(
    ["counts", "rows"].flatMap((what) =>
      ["BEGIN", "SET", "UPDATE", "INSERT", "SAVEPOINT", "COMMIT"].map((statement) => `${what} ${statement}`),
    ),
  )
  .flatMap((call) => ["before", "sent", "after"].map((when) => `${call} ${when}`));

/** Nine in ten operations are increments; the others are writes of rows. */
export function countOf(n: number): { readonly id: string; readonly by: number } | undefined {
  return n % 10 === 9 ? undefined : { id: `c${n % COUNTS}`, by: 1 + (n % 3) };
}

/** A row that one lane alone writes, so it is known which value is its last. */
export function rowOf(n: number, lane: number): string {
  return `r${lane}/${Math.floor(n / 10) % ROWS}`;
}

/** Writes the operations from two processes at once, which are killed at a step of theirs and replaced, and compares what the database has. */
export async function prove(options: ProofOptions): Promise<ProofReport> {
  const { pool } = options;
  const began = performance.now();
  await prepare(pool);
  const deaths = new Deaths(options);
  const acknowledged = new Acknowledged(options);
  const { lanes = LANES } = options;
  await Promise.all(
    Array.from({ length: lanes }, (_, lane) => runLane(lane, { ...options, lanes }, deaths, acknowledged)),
  );
  const finisher = startProcess(options, 0, NEVER);
  await finisher.ready;
  // What others died of may have left more than one flush can do while their transactions end.
  await finisher.finish();
  const { lost, doubled, expected } = await compareCounts(pool, options.operations);
  const wrongRows = await compareRows(pool, options.operations, lanes);
  const took = performance.now() - began;
  return { operations: options.operations, deaths: deaths.count, expected, lost, doubled, wrongRows, took };
}

async function prepare(pool: Pool): Promise<void> {
  await pool.query("DROP TABLE IF EXISTS counts, rows, tiercache_flush_state, tiercache_flush_batch");
  await pool.query("CREATE TABLE counts (id text PRIMARY KEY, n bigint NOT NULL)");
  await pool.query("CREATE TABLE rows (id text PRIMARY KEY, n int NOT NULL)");
  await postgresCounts(pool, { table: "counts", key: "id", count: "n" }).ensure();
}

/** Who dies where. */
class Deaths {
  count = 0;
  readonly #options: ProofOptions;
  readonly #random: Random;
  #given = 0;

  constructor(options: ProofOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  next(): ProofSettings["die"] {
    const { deaths, maxDeaths } = this.#options;
    if (this.#given === maxDeaths) return NEVER;
    this.#given += 1;
    if (deaths !== undefined) return deaths[this.#given - 1] ?? NEVER;
    const at = this.#random.pick(STEPS);
    return { at, count: 1 + this.#random.below(8) };
  }
}

/** Orders that were acknowledged, and when the servers are disturbed. */
class Acknowledged {
  readonly #options: ProofOptions;
  #operations = 0;
  #disturbed = 0;
  #disturbing: Promise<void> | undefined;

  constructor(options: ProofOptions) {
    this.#options = options;
  }

  /** How many times the servers were disturbed. */
  get disturbances(): number {
    return this.#disturbed;
  }

  async add(operations: number): Promise<void> {
    this.#operations += operations;
    const { disturb } = this.#options;
    const at = disturb?.at[this.#disturbed];
    if (disturb !== undefined && at !== undefined && this.#operations >= at && this.#disturbing === undefined) {
      this.#disturbing = disturb.run(this.#disturbed).finally(() => {
        this.#disturbed += 1;
        this.#disturbing = undefined;
      });
    }
    await this.#disturbing;
  }
}

/** Gives a lane's orders one after the other; one that was not acknowledged is given again, to the next process. */
async function runLane(lane: number, options: ProofOptions, deaths: Deaths, acknowledged: Acknowledged): Promise<void> {
  const orders = ordersOf(lane, options.lanes ?? LANES, options.operations);
  let process = startProcess(options, lane, deaths.next());
  // Started while the one before it works, if that is to die; but where operations are to be seen lost, nobody else may
  // have been given the batch that the dead one took.
  const isEarly = (options.variant ?? "sound") === "sound";
  let next = process.isMortal && isEarly ? startProcess(options, lane, deaths.next()) : undefined;
  let seen = 0;
  for (let at = 0; at < orders.length;) {
    const order = orders[at] as Order;
    const isDone = await process.give(order);
    if (isDone) {
      await acknowledged.add(order.to - order.from);
      at += 1;
    } else {
      deaths.count += 1;
      if (!process.isMortal) throw new Error("A process died that was not to");
      process = next ?? startProcess(options, lane, deaths.next());
      next = process.isMortal && isEarly ? startProcess(options, lane, deaths.next()) : undefined;
    }
    if (acknowledged.disturbances > seen) {
      // The journal may have forgotten anything it had acknowledged: whoever must be sure writes again, under the same ids.
      seen = acknowledged.disturbances;
      at = 0;
    }
  }
  process.kill();
  next?.kill();
}

function ordersOf(lane: number, lanes: number, operations: number): readonly Order[] {
  const orders: Order[] = [];
  for (let from = lane * ORDER; from < operations; from += ORDER * lanes) {
    orders.push({ from, to: Math.min(from + ORDER, operations), lane });
  }
  return orders;
}

interface ProofProcess {
  /** Whether it is to die before it is told to. */
  readonly isMortal: boolean;
  readonly ready: Promise<boolean>;
  /** @returns false when it died before it acknowledged the order */
  give(order: Order): Promise<boolean>;
  finish(): Promise<void>;
  kill(): void;
}

function startProcess(options: ProofOptions, lane: number, die: ProofSettings["die"]): ProofProcess {
  const { redisUrl, postgresUrl, folder, variant = "sound" } = options;
  const client = lane === 0 ? "ioredis" : "node-redis";
  const settings: ProofSettings = { redisUrl, postgresUrl, client, folder, variant, die };
  const child = fork(fileURLToPath(new URL("write-behind-program.ts", import.meta.url)), [JSON.stringify(settings)], {
    execArgv: ["--import", import.meta.resolve("tsx")],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const heard = messages(child);
  const ready = heard.next().then((message) => message === "ready");
  return {
    isMortal: die !== NEVER,
    ready,
    async give(order) {
      if (!(await ready) || !child.connected) return false;
      // Died between the two: it will not be acknowledged.
      child.send(order, () => undefined);
      const answer = await heard.next();
      if (typeof answer === "object" && answer !== null && "error" in answer) throw new Error(String(answer.error));
      return answer !== undefined;
    },
    async finish() {
      child.send("finish");
      const answer = await heard.next();
      if (answer !== "finished") throw new Error(`The last process did not finish: ${JSON.stringify(answer)}`);
      child.disconnect();
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

/** What a process says, one after the other; `undefined` for ever when it has ended. */
function messages(child: ChildProcess): { next(): Promise<unknown> } {
  const said: unknown[] = [];
  const waiting: ((message: unknown) => void)[] = [];
  let ended = false;
  child.on("message", (message) => {
    const first = waiting.shift();
    if (first === undefined) said.push(message);
    else first(message);
  });
  child.once("exit", () => {
    ended = true;
    for (const resolve of waiting.splice(0)) resolve(undefined);
  });
  return {
    next: () =>
      said.length > 0 || ended ? Promise.resolve(said.shift()) : new Promise((resolve) => void waiting.push(resolve)),
  };
}

async function compareCounts(
  pool: Pool,
  operations: number,
): Promise<{ readonly lost: number; readonly doubled: number; readonly expected: number }> {
  const expected = new Map<string, number>();
  for (let n = 0; n < operations; n++) {
    const count = countOf(n);
    if (count !== undefined) expected.set(count.id, (expected.get(count.id) ?? 0) + count.by);
  }
  const { rows } = await pool.query<{ id: string; n: string }>("SELECT id, n FROM counts");
  const found = new Map(rows.map(({ id, n }) => [id, Number(n)]));
  const differences = Array.from(expected, ([id, n]) => (found.get(id) ?? 0) - n);
  return {
    expected: [...expected.values()].reduce((total, n) => total + n, 0),
    lost: differences.reduce((total, difference) => total + Math.max(0, -difference), 0),
    doubled: differences.reduce((total, difference) => total + Math.max(0, difference), 0),
  };
}

async function compareRows(pool: Pool, operations: number, lanes: number): Promise<number> {
  const expected = new Map<string, number>();
  for (let n = 0; n < operations; n++) {
    if (countOf(n) === undefined) expected.set(rowOf(n, Math.floor(n / ORDER) % lanes), n);
  }
  const { rows } = await pool.query<{ id: string; n: number }>("SELECT id, n FROM rows");
  const found = new Map(rows.map(({ id, n }) => [id, n]));
  return Array.from(expected).filter(([id, n]) => found.get(id) !== n).length;
}

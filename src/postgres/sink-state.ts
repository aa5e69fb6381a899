import { CacheError } from "../errors.js";
import type { FlushBatch, FlushOutcome, FlushState, RejectedChange } from "../write/sink.js";
import { sqlState } from "./pg.js";
import { quotedName, transaction, type Query, type SinkPool } from "./sink-transaction.js";

/** What a batch came to, besides being applied. */
export interface Applied {
  readonly rejected: readonly RejectedChange[];
  readonly merged: readonly string[];
}

/** Where the tables of `FlushNotes` are, resolved. */
export interface NotesSettings {
  /** Names begin with it: `schema.prefix`, or a prefix. */
  readonly tables: string;
  /** How long applied batches are remembered; milliseconds. */
  readonly remember: number;
}

interface StateRow {
  readonly generation: string;
  readonly seq: string;
  readonly batch_id: string;
  readonly doubtful: string;
}

interface BatchRow {
  readonly generation: string;
  readonly seq: string;
  readonly rejected: readonly RejectedChange[];
}

/** A batch in so many has the forgotten ones removed. */
const FORGET_EVERY = 64;
/** Tells the setup of two processes apart from nothing else: two creations of one table at a time fail. */
const SETUP_LOCK = 7_243_190_551;
const UNDEFINED_TABLE = "42P01";
const UNDEFINED_COLUMN = "42703";

/**
 * What the database knows of the logs that are flushed into it: one row for each, which a flusher's transaction changes
 * and so locks, and the last batches with the ids of their operations.
 */
export class FlushNotes {
  readonly #pool: SinkPool;
  readonly #state: string;
  readonly #batches: string;
  readonly #index: string;
  readonly #remember: number;

  constructor(pool: SinkPool, { tables, remember }: NotesSettings) {
    this.#pool = pool;
    this.#state = quotedName(`${tables}_flush_state`, "tables");
    this.#batches = quotedName(`${tables}_flush_batch`, "tables");
    this.#index = quotedName(`${tables.split(".").at(-1)}_flush_batch_ops`, "tables");
    this.#remember = remember;
  }

  /** The statements that make the tables; they change nothing where they are. */
  get setup(): readonly string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${this.#state} (name text PRIMARY KEY, generation text NOT NULL, seq bigint NOT NULL, ` +
        `batch_id text NOT NULL, doubtful bigint NOT NULL DEFAULT 0, flushed_at timestamptz NOT NULL DEFAULT now())`,
      `CREATE TABLE IF NOT EXISTS ${this.#batches} (name text NOT NULL, batch_id text NOT NULL, generation text NOT NULL, ` +
        `seq bigint NOT NULL, op_ids text[] NOT NULL, rejected jsonb NOT NULL, flushed_at timestamptz NOT NULL DEFAULT now(), ` +
        `PRIMARY KEY (name, batch_id))`,
      `CREATE INDEX IF NOT EXISTS ${this.#index} ON ${this.#batches} USING gin (op_ids)`,
    ];
  }

  /** Makes the tables where they are missing. */
  async ensure(): Promise<void> {
    await transaction(this.#pool, async (query) => {
      await query("SELECT pg_advisory_xact_lock($1)", [SETUP_LOCK]);
      for (const statement of this.setup) await query(statement);
    });
  }

  /** As `Sink.apply`, with `work` doing the changes in the transaction that notes them. */
  apply(
    batch: FlushBatch,
    expected: FlushState | undefined,
    work: (query: Query, applied: ReadonlySet<string>) => Promise<Applied>,
  ): Promise<FlushOutcome> {
    return transaction(this.#pool, async (query): Promise<FlushOutcome> => {
      const ours: Query = (text, values) => this.#told(() => query(text, values));
      const noted = await this.#note(ours, batch, expected);
      if ("outcome" in noted) return noted;
      const { generation, seq, doubtful } = noted;
      const before = doubtful > 0 ? await this.#appliedBefore(ours, batch, doubtful) : NOTHING_BEFORE;
      const done = await work(query, before.applied);
      const rejected = [...before.rejected, ...done.rejected];
      await ours(
        `INSERT INTO ${this.#batches} (name, batch_id, generation, seq, op_ids, rejected) VALUES ($1, $2, $3, $4, $5, $6)`,
        [batch.name, batch.batchId, generation, seq, batch.opIds, JSON.stringify(rejected)],
      );
      if (seq % FORGET_EVERY === 0) {
        await ours(
          `DELETE FROM ${this.#batches} WHERE name = $1 AND seq < $2 AND flushed_at < now() - $3 * interval '1 millisecond'`,
          [batch.name, seq, this.#remember],
        );
      }
      return { outcome: "applied", generation, seq, rejected, merged: done.merged };
    });
  }

  /** A statement over `name`'s row of the state, with that in its place for `STATE`, read at one moment. */
  async read(text: string, values: unknown[]): Promise<readonly unknown[]> {
    try {
      return (await this.#pool.query(text.replaceAll("STATE", this.#state), values)).rows;
    } catch (error) {
      // Of the caller's own table PostgreSQL tells best.
      if (!(error instanceof Error && error.message.includes("_flush_state"))) throw error;
      return this.#told(() => Promise.reject(error));
    }
  }

  /** Counts the batch, and so locks the log's row until the transaction ends; or says why it is not to be applied. */
  async #note(
    query: Query,
    batch: FlushBatch,
    expected: FlushState | undefined,
  ): Promise<FlushOutcome | { readonly generation: string; readonly seq: number; readonly doubtful: number }> {
    const { name, batchId, generation, seq } = batch;
    const [next] = (await query(
      `UPDATE ${this.#state} SET seq = $3, batch_id = $4, flushed_at = now() ` +
        `WHERE name = $1 AND generation = $2 AND seq = $3 - 1 RETURNING doubtful`,
      [name, generation, seq, batchId],
    )) as readonly Pick<StateRow, "doubtful">[];
    if (next !== undefined) return { generation, seq, doubtful: integer(next.doubtful) };

    // A first batch finds no row; of two at a time the second waits for the first here.
    const isBegun = seq === 1 && (await this.#begin(query, name, generation));
    const [row] = (await query(
      `SELECT generation, seq, batch_id, doubtful FROM ${this.#state} WHERE name = $1 FOR UPDATE`,
      [name],
    )) as readonly StateRow[];
    if (isBegun) {
      await query(`UPDATE ${this.#state} SET seq = 1, batch_id = $2 WHERE name = $1`, [name, batchId]);
      return { generation, seq, doubtful: 0 };
    }
    const [known] = (await query(
      `SELECT generation, seq, rejected FROM ${this.#batches} WHERE name = $1 AND batch_id = $2`,
      [name, batchId],
    )) as readonly BatchRow[];
    if (known !== undefined) {
      const { generation, rejected } = known;
      return { outcome: "already", generation, seq: integer(known.seq), rejected, merged: [] };
    }
    const state = stateOf(row);
    if (!isSame(state, expected)) return { outcome: "unexpected", state };
    const begun = { generation: batch.nextGeneration, seq: state.seq + 1, doubtful: state.seq };
    await query(
      `INSERT INTO ${this.#state} (name, generation, seq, batch_id, doubtful) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) ` +
        `DO UPDATE SET generation = $2, seq = $3, batch_id = $4, doubtful = $5, flushed_at = now()`,
      [name, begun.generation, begun.seq, batchId, begun.doubtful],
    );
    return begun;
  }

  async #begin(query: Query, name: string, generation: string): Promise<boolean> {
    const begun = await query(
      `INSERT INTO ${this.#state} (name, generation, seq, batch_id) VALUES ($1, $2, 0, '') ON CONFLICT DO NOTHING RETURNING 1`,
      [name, generation],
    );
    return begun.length > 0;
  }

  /** Of the batch's operations, those applied before the log went back, and the letters among them. */
  async #appliedBefore(query: Query, batch: FlushBatch, doubtful: number): Promise<typeof NOTHING_BEFORE> {
    const found = (await query(
      `SELECT op_ids, rejected FROM ${this.#batches} WHERE name = $1 AND seq <= $2 AND op_ids && $3::text[]`,
      [batch.name, doubtful, batch.opIds],
    )) as readonly { readonly op_ids: readonly string[]; readonly rejected: readonly RejectedChange[] }[];
    const own = new Set(batch.opIds);
    return {
      applied: new Set(found.flatMap((row) => row.op_ids)),
      rejected: found
        .flatMap((row) => row.rejected)
        .map(({ opIds, reason }) => ({ reason, opIds: opIds.filter((opId) => own.has(opId)) }))
        .filter(({ opIds }) => opIds.length > 0),
    };
  }

  /** Of the flush's own tables. */
  async #told<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      const state = sqlState(cause);
      if (state !== UNDEFINED_TABLE && state !== UNDEFINED_COLUMN) throw cause;
      throw new CacheError(
        "ERR_CACHE_TIER",
        `The tables of the flush are missing, or not of this release: call \`ensure()\` of the sink, or run ${this.setup.join("; ")}`,
        { cause },
      );
    }
  }
}

const NOTHING_BEFORE: { readonly applied: ReadonlySet<string>; readonly rejected: readonly RejectedChange[] } = {
  applied: new Set(),
  rejected: [],
};

function stateOf(row: StateRow | undefined): FlushState {
  if (row === undefined) return { generation: "", seq: 0, batchId: "" };
  return { generation: row.generation, seq: integer(row.seq), batchId: row.batch_id };
}

function isSame(state: FlushState, expected: FlushState | undefined): boolean {
  return expected?.generation === state.generation && expected.seq === state.seq && expected.batchId === state.batchId;
}

/** A bigint as `pg` gives it: text, unless it was told otherwise. @throws CacheError `ERR_CACHE_TIER` */
function integer(value: unknown): number {
  const number = Number(value);
  if (value !== null && Number.isSafeInteger(number) && number >= 0) return number;
  throw new CacheError("ERR_CACHE_TIER", `The flush's state in the database holds \`${String(value)}\` for a number`);
}

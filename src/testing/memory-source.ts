import { encodeKey } from "../keys.js";
import type { Change, CounterSink, FlushBatch, FlushOutcome, FlushState, RejectedChange } from "../write/sink.js";

/** A row of a source in memory. */
export interface MemoryRow {
  readonly value: unknown;
  readonly version: number;
  /** Of a counter. */
  readonly count: number;
  /** How many times a change of each operation was done to it. */
  readonly applied: ReadonlyMap<string, number>;
}

interface Flushed extends FlushState {
  /** What was applied before comes again, perhaps: the number of the last batch before the log or the source went back. */
  readonly doubtful: number;
  readonly batches: ReadonlyMap<string, AppliedBatch>;
}

interface AppliedBatch {
  readonly generation: string;
  readonly seq: number;
  readonly opIds: readonly string[];
  readonly rejected: readonly RejectedChange[];
}

/** What a source holds; replaced as a whole by a commit. */
interface Data {
  readonly rows: ReadonlyMap<string, MemoryRow>;
  readonly flushed: ReadonlyMap<string, Flushed>;
}

/** A step of a transaction, as a schedule is told of it. */
export type SourceStep = "begin" | "state" | "change" | "commit" | "committed" | "read";

export interface MemorySourceOptions {
  /** Why a change is refused; `undefined` when it is not. */
  readonly refuses?: ((change: Change) => string | undefined) | undefined;
  /** How many batches it remembers, besides the last. @default all */
  readonly remembered?: number | undefined;
}

const NO_STATE: Flushed = { generation: "", seq: 0, batchId: "", doubtful: 0, batches: new Map() };

/**
 * A source in the memory of a test, with a sink that applies batches as a database does: in a transaction of which nothing
 * is seen before its commit. It can be set back to what it was, as a database is from a backup.
 */
export class MemorySource {
  readonly #refuses: (change: Change) => string | undefined;
  readonly #remembered: number;
  #data: Data = { rows: new Map(), flushed: new Map() };
  /** The transaction that others wait for. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: MemorySourceOptions = {}) {
    this.#refuses = options.refuses ?? (() => undefined);
    this.#remembered = options.remembered ?? Number.POSITIVE_INFINITY;
  }

  row(key: string): MemoryRow | undefined {
    return this.#data.rows.get(key);
  }

  get rows(): ReadonlyMap<string, MemoryRow> {
    return this.#data.rows;
  }

  snapshot(): () => void {
    const saved = this.#data;
    return () => {
      this.#data = saved;
    };
  }

  /** @param schedule called before each step; what it throws ends the transaction without a trace, unless that is committed */
  sink(schedule: (step: SourceStep) => void | Promise<void> = () => undefined): CounterSink {
    return {
      apply: (batch, expected) => this.#alone(() => this.#apply(batch, expected, schedule)),
      read: async (name, id) => {
        await schedule("read");
        const { rows, flushed } = this.#data;
        const row = rows.get(encodeKey(typeof id === "object" ? id : [id]));
        return { count: row?.count ?? 0, batchId: flushed.get(name)?.batchId };
      },
    };
  }

  /** One transaction after the other, as by a lock on the row of the state. */
  async #alone<T>(transaction: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    let end = (): void => undefined;
    this.#turn = new Promise((resolve) => {
      end = resolve;
    });
    await before;
    try {
      return await transaction();
    } finally {
      end();
    }
  }

  async #apply(
    batch: FlushBatch,
    expected: FlushState | undefined,
    schedule: (step: SourceStep) => void | Promise<void>,
  ): Promise<FlushOutcome> {
    await schedule("begin");
    const state = this.#data.flushed.get(batch.name) ?? (batch.seq === 1 ? freshState(batch) : NO_STATE);
    const known = state.batches.get(batch.batchId);
    // As it was applied: if more was since, the log that brings it again has gone back, which its next batch shows.
    if (known !== undefined) return answer("already", known, known.rejected);
    const follows = state.generation === batch.generation && state.seq === batch.seq - 1;
    if (!follows && !isSame(state, expected)) return { outcome: "unexpected", state };
    await schedule("state");
    const doubtful = follows ? state.doubtful : state.seq;
    const remembered = [...state.batches.values()].filter(({ seq }) => seq <= doubtful);
    const applied = new Set(remembered.flatMap(({ opIds }) => opIds));
    const own = new Set(batch.opIds);
    const rejected: RejectedChange[] = remembered
      .flatMap((earlier) => earlier.rejected)
      .map(({ opIds, reason }) => ({ reason, opIds: opIds.filter((opId) => own.has(opId)) }))
      .filter(({ opIds }) => opIds.length > 0);
    const rows = new Map(this.#data.rows);
    for (const change of batch.changes(applied)) {
      await schedule("change");
      const reason = this.#refuses(change);
      if (reason === undefined) rows.set(change.key, changed(rows.get(change.key), change));
      else rejected.push({ opIds: change.opIds, reason });
    }
    const generation = follows ? batch.generation : batch.nextGeneration;
    const seq = state.seq + 1;
    const { batchId, opIds } = batch;
    const before = [...state.batches].filter(([, earlier]) => seq - earlier.seq <= this.#remembered);
    const batches = new Map(before).set(batchId, { generation, seq, opIds, rejected });
    const flushed: Flushed = { generation, seq, batchId, doubtful, batches };
    await schedule("commit");
    this.#data = { rows, flushed: new Map(this.#data.flushed).set(batch.name, flushed) };
    await schedule("committed");
    return answer("applied", flushed, rejected);
  }
}

function freshState({ generation }: FlushBatch): Flushed {
  return { ...NO_STATE, generation };
}

function isSame(state: FlushState, expected: FlushState | undefined): boolean {
  return expected?.generation === state.generation && expected.seq === state.seq && expected.batchId === state.batchId;
}

function answer(
  outcome: "applied" | "already",
  { generation, seq }: Pick<FlushState, "generation" | "seq">,
  rejected: readonly RejectedChange[],
): FlushOutcome {
  return { outcome, generation, seq, rejected, merged: [] };
}

function changed(row: MemoryRow | undefined, { kind, value, by, bumps, opIds }: Change): MemoryRow {
  const applied = new Map(row?.applied);
  for (const opId of opIds) applied.set(opId, (applied.get(opId) ?? 0) + 1);
  const next = { value: row?.value, version: (row?.version ?? 0) + bumps, count: (row?.count ?? 0) + by, applied };
  if (kind === "put") return { ...next, value };
  if (kind === "delete") return { ...next, value: undefined };
  // A source in a test keeps objects.
  return kind === "patch" ? { ...next, value: { ...(row?.value as object), ...(value as object) } } : next;
}

import type { Segment } from "../keys.js";

/** What names a row: one value, or those of a key of several columns. */
export type RowId = string | number | bigint | readonly Segment[];

/** What is to be done with one row: the operations on its key, coalesced in their order. */
export interface Change {
  readonly id: RowId;
  /** The row's key as text. */
  readonly key: string;
  /** `add` is an increment. */
  readonly kind: "put" | "patch" | "delete" | "add";
  /** The whole row of a put, the fields of a patch; else `undefined`. */
  readonly value: unknown;
  /** The sum of the increments; 0 but for `add`. */
  readonly by: number;
  /** The version of the row that the first of the operations was made from; 0: there was no row. `undefined` when nobody said. */
  readonly base: number | undefined;
  /** How many operations these are: the row's version grows by it. */
  readonly bumps: number;
  readonly opIds: readonly string[];
}

/** A sealed batch on its way into the source. */
export interface FlushBatch {
  /** Of the log. */
  readonly name: string;
  readonly batchId: string;
  readonly generation: string;
  readonly seq: number;
  /** For a generation to be begun with this batch. */
  readonly nextGeneration: string;
  readonly opIds: readonly string[];
  /**
   * What is to be done, in order: a key comes twice only where the second must see the first done (another base).
   *
   * @param applied ids of operations to leave out
   */
  changes(applied?: ReadonlySet<string>): readonly Change[];
}

/** Where a source says it is in a log. */
export interface FlushState {
  /** "" when it has never heard of the log. */
  readonly generation: string;
  readonly seq: number;
  readonly batchId: string;
}

/** Changes that the source refused, and why. */
export interface RejectedChange {
  readonly opIds: readonly string[];
  readonly reason: string;
}

export type FlushOutcome =
  | {
      /** `applied`: by this call. `already`: by an earlier one. */
      readonly outcome: "applied" | "already";
      /** Of this batch, which need not be the last applied: then the log has gone back, and its next batch shows it. */
      readonly generation: string;
      readonly seq: number;
      readonly rejected: readonly RejectedChange[];
      /** Keys whose rows are not what the log said they would be: merged with another's write. */
      readonly merged: readonly string[];
    }
  | {
      /** The batch does not follow what the source has: one of the two went back in time, or this flusher is late. Nothing was done. */
      readonly outcome: "unexpected";
      readonly state: FlushState;
    };

/** Where a log is flushed to. */
export interface Sink {
  /**
   * Applies a batch and notes that it has, in one transaction of the source.
   *
   * @param expected a state answered as unexpected: the batch is applied after it all the same, as the first of a new
   * generation, unless the state has changed. From every batch of such a generation, not from its first only, the
   * operations are left out that earlier ones have applied: a log that went back brings all of them again.
   */
  apply(batch: FlushBatch, expected?: FlushState): Promise<FlushOutcome>;
}

/** A sink of increments, which can be read as well. */
export interface CounterSink extends Sink {
  /** The stored count, with the batch applied last in the log of that name: both of one moment. */
  read(name: string, id: RowId): Promise<{ readonly count: number; readonly batchId: string | undefined }>;
}

/** What a function of yours is told of a batch. */
export interface ApplyContext {
  readonly batchId: string;
  readonly generation: string;
  readonly seq: number;
}

/**
 * Writes changes to a source. It is called again with the same changes when it was not known to end well: what it does
 * twice must be as if done once.
 */
export type ApplyChanges = (changes: readonly Change[], context: ApplyContext) => Promise<void>;

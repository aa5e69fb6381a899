/*
 * The contract of a journal: a durable, ordered log of writes on their way to their source. For implementers:
 *
 * - Puts, patches, deletes and increments are in ONE log, in the order they were appended in. Two logs cannot be merged again:
 *   a delete that is applied before an older put brings a row back.
 * - Every step is atomic, and those of one log happen one after the other, whoever asks for them.
 * - `seal` fixes the front of the log as a batch and gives the same batch to everybody until it is settled, so a batch that
 *   was begun by a process that died is done again as it was, and never in another composition.
 * - Nothing leaves the log before `settle`, which is called after the source has committed.
 * - What is in the log may be lost with the log, as durable as that is. What was lost with an *acknowledgement* is no harm:
 *   the source knows the operations it has applied by their ids.
 */

/** A journal as `createCache`'s write-behind is given it; one may hold the logs of many. */
export interface Journal {
  /** What it is kept in, for events: "redis", "lmdb". */
  readonly kind: string;
  /** The log of that name. @throws CacheError `ERR_CACHE_TIER` when it cannot be had */
  open(name: string): JournalLog;
}

/** One operation on one key, on its way into the log. */
export interface JournalOperation {
  /** Of this operation only; one that is appended again under the same id, within minutes, is in the log once. */
  readonly opId: string;
  readonly key: string;
  /** Whether it says all there is to know of the key: a put or a delete, but no patch and no increment. */
  readonly whole: boolean;
  /** What it adds to the sum of its key; 0 but for an increment. A safe integer. */
  readonly by: number;
  /** What the cache makes of it; nobody else reads it. */
  readonly body: Uint8Array;
}

export interface StoredOperation extends JournalOperation {
  /** When it was appended: milliseconds since the epoch, by the journal's clock. */
  readonly at: number;
}

/** The front of the log, as it was fixed. */
export interface SealedBatch {
  /** Of this batch only, in all generations. */
  readonly batchId: string;
  /** Of the log's history: another one begins when the log and its source turn out to disagree. */
  readonly generation: string;
  /** One more than that of the last batch settled. */
  readonly seq: number;
  readonly operations: readonly StoredOperation[];
}

export interface SealRequest {
  /** For a new batch; not used when one is sealed. */
  readonly batchId: string;
  /** For a log that has no generation yet. */
  readonly generation: string;
  /** Most operations of a new batch. */
  readonly most: number;
  /** Most bytes of their bodies, beyond the first. */
  readonly mostBytes: number;
}

export interface Appended {
  /** How many are in the log, from the first on; the rest found no room. */
  readonly added: number;
  /** Operations in the log, and letters. */
  readonly depth: number;
}

/** What the log holds of some keys at one moment. */
export interface PendingRead {
  /** In the order asked. */
  readonly keys: readonly {
    /** The bodies since the newest that is `whole`, oldest first, without increments. */
    readonly bodies: readonly Uint8Array[];
    /** The sum of `by`, of all that is in the log and of what of it is sealed. */
    readonly sum: number;
    readonly sealedSum: number;
  }[];
  /** The batch sealed and not settled; `undefined` when there is none. */
  readonly sealed: string | undefined;
  /** The batch settled last; `undefined` before the first. */
  readonly settled: string | undefined;
}

/** What became of a batch, once its source has committed. */
export interface Settlement {
  readonly batchId: string;
  /** As the source has them: the next batch of the log is of this generation, with `seq` + 1. */
  readonly generation: string;
  readonly seq: number;
  /** Operations that the source refused: they become letters. */
  readonly rejected: readonly Rejection[];
}

export interface Rejection {
  readonly opId: string;
  /** In words. */
  readonly reason: string;
}

export interface JournalState {
  /** Operations in the log. */
  readonly depth: number;
  /** Milliseconds since the oldest of them was appended, by the journal's clock; 0 when there is none. */
  readonly oldest: number;
  /** Operations set aside: see `DeadLetterList`. */
  readonly dead: number;
}

/** An operation that the source refused, and that waits for somebody. */
export interface StoredLetter extends StoredOperation {
  readonly reason: string;
}

/** Dead letters: part of the log's bound, and never removed but when told. */
export interface DeadLetterList {
  /** The oldest first. */
  list(limit: number): Promise<readonly StoredLetter[]>;
  /** @returns how many were there */
  discard(opIds: readonly string[]): Promise<number>;
}

/** One log. A method that rejects may have done its work: all are safe to be called again. */
export interface JournalLog {
  /** @param limit most operations and letters in it; what would be more is not added */
  append(operations: readonly JournalOperation[], limit: number): Promise<Appended>;
  pending(keys: readonly string[]): Promise<PendingRead>;
  /** The batch that is sealed, or a new one; `undefined` when the log is empty. */
  seal(request: SealRequest): Promise<SealedBatch | undefined>;
  /** Removes the batch's operations. @returns false when it is not the sealed one (any more) */
  settle(settlement: Settlement): Promise<boolean>;
  state(): Promise<JournalState>;
  readonly letters: DeadLetterList;
  close(): Promise<void>;
}

import type { Head, LogRecord, Mark } from "../invalidation/record.js";

/**
 * A tier shared by processes: a store of opaque entries, the leases on them, and the log of what was invalidated.
 *
 * Keys are canonical paths (`keys.ts`); the tier adds its cache's name. Values are envelopes
 * (`entries/envelope.ts`): opaque here but for two fixed fields, byte 3 (the soft-stale flag, 0 or 1, not
 * covered by the envelope's checksum) and bytes 4–11 (the *stamp*, different for every fill).
 *
 * Every method may reject (the tier is down) and may never settle (it hangs): callers bound it. Nothing is
 * retried inside: the caller knows what a second try would mean.
 */
export interface SharedTier {
  /** What it is, for events and metrics: "redis", "memory-shared". */
  readonly kind: string;
  readonly store: SharedStore;
  readonly leases: Leases;
  readonly log: InvalidationLog;
  /** Gives back what this tier opened (a duplicated connection), never the client it was given. */
  close(): Promise<void>;
}

/** Binds a shared tier to a cache: the tiers of two caches with different names share nothing. */
export interface SharedTierFactory {
  readonly kind: string;
  open(cacheName: string): SharedTier;
}

/**
 * A shared tier over several servers. Each shard is a whole tier with a log of its own, and positions of two shards
 * say nothing of one another: a key lives on one shard with everything that must be atomic with it, and a mark of
 * another kind is appended to every shard's log.
 */
export interface ShardedTier {
  readonly kind: string;
  /** One or more; the same number and order in every process of the cache. */
  readonly shards: readonly SharedTier[];
  /** The index of the shard that holds the key: the same in every process and release. */
  shardOf(key: string): number;
  /** Closes every shard. */
  close(): Promise<void>;
}

export interface ShardedTierFactory {
  readonly kind: string;
  openShards(cacheName: string): ShardedTier;
}

/** A value too large to come along with others: it is there, and read when it is asked for. */
export interface LargeValue {
  /** Its length. */
  readonly size: number;
  /** Its first bytes, the stamp among them. */
  readonly head: Uint8Array;
  /** The value whose head this is, but for its soft-stale flag; `undefined` when it is not there any more. */
  fetch(): Promise<Uint8Array | undefined>;
}

/** An entry's bytes, at hand or to be fetched. */
export type StoredValue = Uint8Array | LargeValue;

export interface SharedRead {
  /** In the order asked; `undefined` where nothing is stored. */
  readonly values: readonly (StoredValue | undefined)[];
  /** Read in the same atomic step as the values; `undefined` while no generation was begun. */
  readonly head: Head | undefined;
}

export interface SharedPut {
  readonly key: string;
  readonly value: Uint8Array;
  /** Milliseconds until the tier forgets it; 1 or more. */
  readonly ttl: number;
}

export interface SharedStore {
  /** Reads entries and the head in one atomic step. */
  read(keys: readonly string[]): Promise<SharedRead>;
  /**
   * Writes entries over whatever is there, kills the leases on them, and appends ONE record with a `key` mark
   * for each (hard), in one atomic step with the log first. Used for `set`: other processes' copies go.
   */
  put(entries: readonly SharedPut[], origin: string): Promise<Head>;
  /**
   * Appends ONE record, moves the marks, then kills the leases of every `key` mark and removes its entry
   * (hard) or sets its soft-stale flag (soft), in one atomic step. Marks of other kinds touch no entry: they are
   * compared on read.
   *
   * @returns the head after it, and how many of the `key` marks hit a stored entry.
   */
  invalidate(marks: readonly Mark[], soft: boolean, origin: string): Promise<{ head: Head; hit: number }>;
  /**
   * When each of these marks was last moved: for each, the hard and the soft position. Asked for entries older than
   * what a process has seen of the log itself.
   *
   * `hard` is never below the floor of now: it is the floor for a mark never moved, and for one forgotten since the
   * caller read its entry and head, which would otherwise look as if it had never been. `soft` is 0 for never. Marks of
   * kind `key` are not remembered: the entry itself tells.
   */
  marks(marks: readonly Mark[]): Promise<readonly { hard: number; soft: number }[]>;
  /**
   * Every mark of kind `pattern` and `tags` still remembered, with positions: these match by rule, so a
   * process must hold them all. Bounded by the tier.
   */
  rules(): Promise<readonly { mark: Mark; hard: number; soft: number }[]>;
  /** Removes the entry only while it still has this stamp: drops bytes found corrupt, never a newer fill. */
  discard(key: string, stamp: Uint8Array): Promise<boolean>;
  /**
   * Keys of stored entries, a step at a time that holds up nobody: for an operator's tools, and on the way of no read.
   * In no order; one may come twice, and one stored or removed meanwhile may be missing or gone. Missing in a tier that
   * cannot tell.
   */
  list?(step: ListStep): Promise<Listing>;
}

/** One step of looking through a store. */
export interface ListStep {
  /** What the keys begin with, as text; "" for all. */
  readonly beginning: string;
  /** From the listing before; `undefined` to begin. */
  readonly cursor: string | undefined;
  /** About how many entries to look at. */
  readonly count: number;
}

export interface Listing {
  readonly keys: readonly string[];
  /** Where to go on; `undefined` when it is over. */
  readonly cursor: string | undefined;
}

/** How a try for the lease ended. */
export type LeaseAnswer =
  /** The caller may load. `fence` grows with every lease granted by this tier. `head` was read in the same step. */
  | { readonly state: "won"; readonly fence: number; readonly head: Head }
  /** Somebody else loads; `remaining` milliseconds of its lease are left. */
  | { readonly state: "held"; readonly remaining: number; readonly head: Head }
  /** An entry is there that the caller has not seen. */
  | { readonly state: "filled"; readonly value: StoredValue; readonly head: Head };

/** The right to load a key, cluster-wide. */
export interface Leases {
  /**
   * Tries for the lease on `key`.
   *
   * `seen` is the stamp of the stored entry the caller cannot use, or `undefined` if it saw none: with another
   * entry there, not soft-stale, the answer is `filled`. With `takeOver` the lease is granted whoever holds it
   * and whatever is stored (a writer's lease: the holder's fill will be refused). The token that holds the lease wins
   * it again: a client may send twice.
   */
  acquire(
    key: string,
    options: { token: string; ttl: number; seen?: Uint8Array | undefined; takeOver?: boolean | undefined },
  ): Promise<LeaseAnswer>;
  /** Extends the lease to `ttl` from now; false when it is no longer this token's. */
  renew(key: string, token: string, ttl: number): Promise<boolean>;
  /**
   * Stores the entry if `token` still holds the lease, and ends the lease, in one atomic step; then wakes the
   * waiters. False: something was invalidated, written, or the lease ran out; nothing was stored.
   */
  fill(key: string, token: string, value: Uint8Array, ttl: number): Promise<boolean>;
  /**
   * As `fill`, for a writer: appends first ONE record with a hard `key` mark, so that other processes' copies go, in
   * the same atomic step. The head after it; `undefined` when the lease was not this token's, and nothing happened.
   */
  commit(key: string, token: string, value: Uint8Array, ttl: number, origin: string): Promise<Head | undefined>;
  /** Ends the lease if it is this token's (the load failed), and wakes the waiters. */
  release(key: string, token: string): Promise<boolean>;
}

/** What a subscriber hears. */
export type LogSignal =
  /** A record was appended (pushed: may be lost, doubled or late; the log itself is the truth). */
  | { readonly type: "record"; readonly record: LogRecord }
  /** A lease on the key ended: filled or released. */
  | { readonly type: "settled"; readonly key: string }
  /** The stored entry of the key changed, by whomever: what memory holds of it must be compared with the tier. */
  | { readonly type: "changed"; readonly key: string }
  /** Any stored entry may have changed. */
  | { readonly type: "changed-all" }
  /** Something was heard or read that is not believed (a record that is not signed), or may not be heard any more. */
  | { readonly type: "refused"; readonly reason: string }
  /** The push connection was lost; nothing is heard until `up`. */
  | { readonly type: "down" }
  /** The push connection is (again) there. */
  | { readonly type: "up" };

export interface InvalidationLog {
  /** The head now; begins a generation when there is none. */
  head(): Promise<Head>;
  /**
   * The records after `position`, oldest first, at most `limit`, with the head of the same moment; `undefined` for the
   * records when `position` is none the log goes on from: it does not reach back so far, or never had it.
   *
   * `oldest`, told in that case: the position after which the log is whole. One that is whole from before `position` has
   * another history than the one in which that was given.
   */
  since(
    position: number,
    limit: number,
  ): Promise<{ records: readonly LogRecord[] | undefined; head: Head; oldest?: number | undefined }>;
  /**
   * Hears signals until the returned function is called, `up` being the first. Resolves when the subscription stands:
   * while the tier is away that may take as long as its client tries to reach it. Rejects when it gives up, the
   * tier refuses, or `close` of the tier is called.
   */
  subscribe(listener: (signal: LogSignal) => void): Promise<() => Promise<void>>;
}

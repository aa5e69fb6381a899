import type { CurvePoint } from "./policy.js";
import type { KeyFamily } from "./key-family.js";

/** Why an entry left the memory tier. */
export type RemovalCause =
  /** The policy made room. */
  | "evicted"
  /** Its time was over. */
  | "expired"
  /** Deleted by the owner (`delete`, `clear`). */
  | "deleted"
  /** Another value took its key. */
  | "replaced"
  /** Heavier than one entry may be, or refused by the policy on arrival: never stored. */
  | "refused";

/** A value that left; the hash is its key's. */
export interface Removal<V> {
  readonly key: string;
  readonly value: V;
  readonly cause: RemovalCause;
  readonly hash: number;
}

/**
 * The in-process tier: a bounded map from key to anything, with an eviction policy and one timer.
 *
 * It knows nothing of tags, freshness or other processes. `weight` is bytes (key included); `expiresAt` is on the
 * tier's clock (`Clock.now()`), Infinity for never: from that moment the entry is gone for `get` and `peek`,
 * and its memory comes back without being read.
 */
export interface MemoryTier<V = unknown> {
  /**
   * The value, counted as a use by the policy.
   *
   * @param now the clock's time, from a caller that has just read it: a second reading would be a third of a hit.
   */
  get(key: string, now?: number): V | undefined;
  /** As `get`, for a caller who judges the time: also a value whose time is over, if it has not left yet. */
  find(key: string): V | undefined;
  /** Keys with this beginning and end, to be looked up by what is between. */
  family(head: string, tail: string): KeyFamily;
  /** As `find`, of the key whose middle has been written into the family's `units`, up to `end`. */
  findIn(family: KeyFamily, end: number): V | undefined;
  /** What was vouched for under the key (`vouch`), if that stands at this version and tick: counted as a use. */
  findVouched(key: string, version: number, tick: number): unknown;
  /**
   * Has `findVouched` answer for the key, until it is removed or replaced, `withdraw` is called, the version is another, or
   * the tick (an integer of 31 bits) has come.
   *
   * @returns what to call `withdraw` with; -1 when there is no such key.
   */
  vouch(key: string, answer: unknown, version: number, until: number): number;
  /** One too many is no harm. */
  withdraw(slot: number): void;
  /** The value; the policy does not notice. */
  peek(key: string): V | undefined;
  /** @returns whether it is stored: false when it was refused (then nothing is stored under the key, an older value neither). */
  set(key: string, value: V, weight: number, expiresAt: number): boolean;
  /** Moves the deadline of a stored entry; false when there is none. */
  touch(key: string, expiresAt: number): boolean;
  delete(key: string): boolean;
  /**
   * Names the keys, stored or not, whose entries no room is made of, the most important first; those named before are not
   * any more. They leave as others do when their time is over, and are not refused when they come. Of these the first are
   * pinned that fit in an eighth of the tier, by entries and by bytes.
   */
  pin(keys: readonly string[]): void;
  /** Whether it is stored, and pinned. */
  isPinned(key: string): boolean;
  clear(): void;
  /** Every live entry, in no promised order; changing the tier meanwhile is allowed. */
  entries(): IterableIterator<[key: string, value: V]>;
  readonly size: number;
  /** Sum of weights. */
  readonly bytes: number;
  stats(): MemoryTierStats;
  /** Stops the timer and forgets everything, calling no listener. */
  close(): void;
}

export interface MemoryTierStats {
  readonly entries: number;
  readonly bytes: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** Entries the policy removed to make room, since the start. */
  readonly evicted: number;
  /** Entries whose time was over. */
  readonly expired: number;
  /** Entries refused on arrival. */
  readonly refused: number;
  /** Share of the capacity that is the policy's window, 0 to 1. */
  readonly windowShare: number;
  /**
   * What a quarter, half, twice and four times the capacity would hit, and today's between them: an estimate from a sample of the
   * keys. Empty when not enough was seen.
   */
  readonly curve: readonly CurvePoint[];
}

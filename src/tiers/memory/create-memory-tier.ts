import type { Clock } from "../../clock.js";
import { Alarm } from "./alarm.js";
import { Deadlines } from "./deadlines.js";
import { createKeyHash, type KeyHash } from "./hash-key.js";
import { KeyFamily } from "./key-family.js";
import { KeyTable } from "./key-table.js";
import { MOST_ENTRIES, toBytes, toCount } from "./limits.js";
import type { MemoryTier, MemoryTierStats, Removal, RemovalCause } from "./memory-tier.js";
import type { EvictionPolicy, PolicyFactory } from "./policy.js";
import { Vouches } from "./vouches.js";
import { createWTinyLfu } from "./w-tiny-lfu.js";
import { Weights } from "./weights.js";

export interface MemoryTierOptions<V> {
  /** Most entries: an integer of 1 or more. */
  readonly maxEntries: number;
  /** Most bytes: the bound on the sum of weights. */
  readonly maxBytes: number;
  /** Heavier entries are refused. */
  readonly maxEntryBytes: number;
  readonly clock: Clock;
  /** Source of chance, in [0, 1). @default Math.random */
  readonly random?: (() => number) | undefined;
  /** How keys are hashed. @default by a seed drawn from `random` */
  readonly hash?: KeyHash | undefined;
  /**
   * Told of every value that left, once each, when the tier is consistent again: it may use the tier. It must not throw.
   * `hash` is the key's.
   */
  readonly onRemove?: ((key: string, value: V, cause: RemovalCause, hash: number) => void) | undefined;
  /**
   * Told of one use in so many; its answer, an integer of 1 or more, says which the next one is: 1 for the very next. It
   * must neither throw nor use the tier.
   */
  readonly onSample?: ((key: string) => number) | undefined;
  /** Whether to estimate what another capacity would hit (`MemoryTierStats.curve`). @default true */
  readonly curve?: boolean | undefined;
  /** @default createWTinyLfu */
  readonly policy?: PolicyFactory | undefined;
}

/** Uses noted before the policy hears of them. */
const RING = 64;
const FEWEST_SLOTS = 16;
/** Expired entries removed in one go, so that a million that expire together do not hold up the process. */
const MOST_EXPIRED = 4096;
/** Places for notices that are kept from one call to the next. */
const MOST_NOTICES = 64;
/** Pinned entries have this share of the tier at the most, of its entries and of its bytes. */
const PINNED_SHARE = 1 / 8;
const NOTHING_PINNED: ReadonlyMap<string, number> = new Map();

/**
 * The bounded in-process tier.
 *
 * Weights are bytes; fractions are rounded up, and what is not a number of 0 or more is refused like an entry that is
 * too heavy. A value whose time is over when it is set is not stored: it leaves as "expired".
 *
 * @throws CacheError `ERR_CACHE_OPTION` for a bound that is not an integer of 1 or more.
 */
export function createMemoryTier<V>(options: MemoryTierOptions<V>): MemoryTier<V> {
  return new BoundedMemoryTier(options);
}

/**
 * One table from key to slot (`KeyTable`); all else about an entry is in arrays at its slot (the layout of lru-cache), which
 * costs a fraction of an object per entry and gives the garbage collector nothing to trace. Arrays double up to
 * `maxEntries`; the slots of removed entries are used again, chained through their weights.
 *
 * Between any two public calls:
 *  1. a slot below `#top` either is in the table, the policy and, with a deadline, `Deadlines`; or in the free chain;
 *  2. at most `maxEntries` entries and `maxBytes` bytes are held;
 *  3. `#noted` uses in `#ring` are unknown to the policy; every slot among them is stored still, because whatever
 *     adds or removes an entry tells the policy first.
 * Listeners run only when all this holds again, from a queue, so they may call any method.
 *
 * All calls are O(1) amortised but `clear` and `entries`.
 */
class BoundedMemoryTier<V> implements MemoryTier<V> {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #maxEntryBytes: number;
  readonly #clock: Clock;
  readonly #onRemove: ((key: string, value: V, cause: RemovalCause, hash: number) => void) | undefined;
  readonly #onSample: ((key: string) => number) | undefined;
  readonly #policy: EvictionPolicy;
  readonly #deadlines = new Deadlines();
  readonly #vouches = new Vouches();
  readonly #alarm: Alarm;
  readonly #ring = new Uint32Array(RING);
  #noted = 0;
  /** Uses to pass by before the next that is sampled. */
  #unsampled = 0;
  /** Keys with their rank. */
  #pinned = NOTHING_PINNED;

  readonly #hash: KeyHash;
  readonly #table: KeyTable<V>;
  readonly #weights: Weights;
  #top = 0;
  /** First free slot + 1, 0 for none; a free slot's weight is the next one likewise. */
  #free = 0;
  #bytes = 0;

  /** The first `#untold` are to be told; the array stays, for allocating it anew would cost each entry that leaves. */
  #notices: (Removal<V> | undefined)[] = [];
  #untold = 0;
  #delivering = false;
  #closed = false;
  #evicted = 0;
  #expired = 0;
  #refused = 0;

  constructor(options: MemoryTierOptions<V>) {
    const random = options.random ?? Math.random;
    this.#maxEntries = toCount(options.maxEntries, "maxEntries", MOST_ENTRIES);
    this.#maxBytes = toBytes(options.maxBytes, "maxBytes");
    this.#maxEntryBytes = Math.min(toBytes(options.maxEntryBytes, "maxEntryBytes"), this.#maxBytes);
    this.#clock = options.clock;
    this.#hash = options.hash ?? createKeyHash(random);
    this.#table = new KeyTable(this.#hash);
    this.#onRemove = options.onRemove;
    this.#onSample = options.onSample;
    this.#weights = new Weights(this.#maxEntryBytes);
    this.#alarm = new Alarm(this.#clock, () => this.#ringing());
    this.#policy = (options.policy ?? createWTinyLfu)({
      maxEntries: this.#maxEntries,
      maxBytes: this.#maxBytes,
      curve: options.curve,
      weights: this.#weights,
      random,
    });
  }

  get(key: string, now?: number): V | undefined {
    const slot = this.#slotOf(key);
    if (slot === -1) return undefined;
    const deadline = this.#deadlines.of(slot);
    if (deadline !== Number.POSITIVE_INFINITY && deadline <= (now ?? this.#clock.now())) {
      this.#remove(slot, "expired");
      this.#deliver();
      return undefined;
    }
    return this.#used(slot);
  }

  find(key: string): V | undefined {
    const slot = this.#slotOf(key);
    return slot === -1 ? undefined : this.#used(slot);
  }

  family(head: string, tail: string): KeyFamily {
    return new KeyFamily(this.#hash, head, tail);
  }

  findIn(family: KeyFamily, end: number): V | undefined {
    const length = family.close(end);
    const slot = this.#table.findUnits(family.units, length, family.hashTo(length));
    return slot === -1 ? undefined : this.#used(slot);
  }

  findVouched(key: string, version: number, tick: number): unknown {
    const slot = this.#slotOf(key);
    if (slot === -1 || !this.#vouches.stands(slot, version, tick)) return undefined;
    this.#note(slot);
    return this.#vouches.answerAt(slot);
  }

  vouch(key: string, answer: unknown, version: number, until: number): number {
    const slot = this.#slotOf(key);
    if (slot !== -1) this.#vouches.give(slot, answer, version, until);
    return slot;
  }

  withdraw(slot: number): void {
    this.#vouches.withdraw(slot);
  }

  peek(key: string): V | undefined {
    const slot = this.#slotOf(key);
    return slot === -1 || this.#isOver(slot) ? undefined : this.#table.valueAt(slot);
  }

  set(key: string, value: V, weight: number, expiresAt: number): boolean {
    if (this.#closed) return false;
    // Rounded, a little less than nothing would be nothing.
    const stored = this.#store(key, value, weight < 0 ? Number.NaN : Math.ceil(weight), expiresAt);
    this.#deliver();
    return stored;
  }

  touch(key: string, expiresAt: number): boolean {
    const slot = this.#slotOf(key);
    if (slot === -1) return false;
    const now = this.#clock.now();
    const stored = this.#deadlines.of(slot) > now;
    if (stored && expiresAt > now) this.#schedule(slot, expiresAt, now);
    else this.#remove(slot, "expired");
    this.#deliver();
    return stored;
  }

  delete(key: string): boolean {
    const slot = this.#slotOf(key);
    if (slot === -1) return false;
    const stored = !this.#isOver(slot);
    this.#remove(slot, stored ? "deleted" : "expired");
    this.#deliver();
    return stored;
  }

  pin(keys: readonly string[]): void {
    const most = Math.floor(this.#maxEntries * PINNED_SHARE);
    this.#pinned = keys.length === 0 ? NOTHING_PINNED : new Map(keys.slice(0, most).map((key, rank) => [key, rank]));
  }

  isPinned(key: string): boolean {
    const slot = this.#slotOf(key);
    return slot !== -1 && !this.#isOver(slot) && this.#isSpared(slot);
  }

  clear(): void {
    for (let slot = 0; slot < this.#top; slot += 1) {
      if (this.#table.keyAt(slot) !== undefined) this.#remove(slot, this.#isOver(slot) ? "expired" : "deleted");
    }
    this.#reset();
    this.#policy.resize(0);
    this.#deliver();
  }

  /** By slot, so that it ends for a caller who deletes and sets as it goes. */
  *entries(): IterableIterator<[key: string, value: V]> {
    const top = this.#top;
    for (let slot = 0; slot < top; slot += 1) {
      const key = this.#table.keyAt(slot);
      if (key !== undefined && !this.#isOver(slot)) yield [key, this.#table.valueAt(slot)];
    }
  }

  get size(): number {
    return this.#table.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  stats(): MemoryTierStats {
    const policy = this.#policy.stats;
    return {
      entries: this.#table.size,
      bytes: this.#bytes,
      maxEntries: this.#maxEntries,
      maxBytes: this.#maxBytes,
      evicted: this.#evicted,
      expired: this.#expired,
      refused: this.#refused,
      windowShare: policy.windowShare,
      curve: policy.curve?.() ?? [],
    };
  }

  close(): void {
    this.#closed = true;
    this.#notices = [];
    this.#untold = 0;
    this.#noted = 0;
    this.#pinned = NOTHING_PINNED;
    this.#reset();
  }

  #store(key: string, value: V, weight: number, expiresAt: number): boolean {
    // Without deadlines nothing needs the time.
    const timeless = expiresAt === Number.POSITIVE_INFINITY && this.#deadlines.size === 0;
    const now = timeless ? Number.NEGATIVE_INFINITY : this.#sweep();
    this.#tellUses();
    const hash = this.#table.hashOf(key);
    if (this.#evicted > 0) this.#prepare(hash);
    let slot = this.#table.find(key, hash);
    if (slot !== -1 && this.#deadlines.isDue(slot, now)) {
      this.#remove(slot, "expired");
      slot = -1;
    }
    const fits = weight >= 0 && weight <= this.#maxEntryBytes;
    if (!fits || !(expiresAt > now)) {
      if (slot !== -1) this.#remove(slot, "replaced");
      this.#gone(key, value, fits ? "expired" : "refused", hash);
      return false;
    }
    if (slot === -1) slot = this.#add(key, hash, value, weight);
    else this.#replace(slot, value, weight);
    this.#schedule(slot, expiresAt, now);
    return this.#makeRoom(slot, now);
  }

  #slotOf(key: string): number {
    return this.#table.find(key, this.#table.hashOf(key));
  }

  #used(slot: number): V {
    this.#note(slot);
    return this.#table.valueAt(slot);
  }

  #note(slot: number): void {
    this.#ring[this.#noted] = slot;
    this.#noted += 1;
    if (this.#noted === RING) this.#tellUses();
  }

  #add(key: string, hash: number, value: V, weight: number): number {
    const slot = this.#takeSlot();
    this.#table.add(slot, key, hash, value);
    this.#weights.set(slot, weight);
    this.#bytes += weight;
    this.#policy.onAdd(slot, hash >>> 2);
    return slot;
  }

  /** In a full cache a key that is set is a new one most of the time. */
  #prepare(hash: number): void {
    const victim = this.#policy.prepare?.(hash >>> 2) ?? -1;
    this.#table.fetch(hash, victim);
  }

  #replace(slot: number, value: V, weight: number): void {
    const previousWeight = this.#weights.of(slot);
    const table = this.#table;
    this.#gone(table.keyAt(slot) as string, table.valueAt(slot), "replaced", table.hashAt(slot));
    this.#vouches.withdraw(slot);
    this.#table.setValue(slot, value);
    this.#weights.set(slot, weight);
    this.#bytes += weight - previousWeight;
    this.#policy.onReplace(slot, previousWeight);
  }

  /**
   * A victim that is pinned is spared, and the policy names another. Each pinned entry once in a call: whatever the
   * policy does with them, this comes to an end.
   *
   * @returns whether the newcomer is still there.
   */
  #makeRoom(newcomer: number, now: number): boolean {
    let stored = true;
    let spares = this.#pinned.size;
    while (this.#table.size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const victim = this.#policy.nextVictim();
      if (spares > 0 && !this.#deadlines.isDue(victim, now) && this.#isSpared(victim)) {
        spares -= 1;
        this.#policy.onSpare(victim);
      } else if (victim === newcomer) {
        stored = false;
        this.#remove(victim, "refused");
      } else {
        this.#remove(victim, this.#deadlines.isDue(victim, now) ? "expired" : "evicted");
      }
    }
    return stored;
  }

  /** Pinned, and with those pinned before it not more than the pinned may weigh: the first ones have the room. */
  #isSpared(slot: number): boolean {
    const rank = this.#pinned.get(this.#table.keyAt(slot) as string);
    if (rank === undefined) return false;
    let bytes = this.#weights.of(slot);
    for (const [key, other] of this.#pinned) {
      if (other === rank) break;
      const before = this.#slotOf(key);
      if (before !== -1) bytes += this.#weights.of(before);
    }
    return bytes <= this.#maxBytes * PINNED_SHARE;
  }

  #schedule(slot: number, expiresAt: number, now: number): void {
    this.#deadlines.set(slot, expiresAt);
    this.#setAlarm(now);
  }

  #setAlarm(now: number): void {
    if (this.#deadlines.size === 0) this.#alarm.cancel();
    else this.#alarm.atLatest(this.#deadlines.nextTime, now);
  }

  #remove(slot: number, cause: RemovalCause): void {
    this.#tellUses();
    const key = this.#table.keyAt(slot) as string;
    const value = this.#table.valueAt(slot);
    const hash = this.#table.hashAt(slot);
    this.#table.remove(slot);
    this.#vouches.withdraw(slot);
    this.#policy.onRemove(slot);
    this.#deadlines.remove(slot);
    if (this.#deadlines.size === 0) this.#alarm.cancel();
    this.#bytes -= this.#weights.of(slot);
    this.#weights.set(slot, this.#free);
    this.#free = slot + 1;
    this.#gone(key, value, cause, hash);
  }

  #gone(key: string, value: V, cause: RemovalCause, hash: number): void {
    if (cause === "evicted") this.#evicted += 1;
    else if (cause === "expired") this.#expired += 1;
    else if (cause === "refused") this.#refused += 1;
    if (this.#onRemove === undefined) return;
    this.#notices[this.#untold] = { key, value, cause, hash };
    this.#untold += 1;
  }

  /** A listener may change the tier and so lengthen the queue; the outermost call empties it. */
  #deliver(): void {
    if (this.#delivering || this.#untold === 0) return;
    this.#delivering = true;
    let at = 0;
    try {
      while (at < this.#untold) {
        const notice = this.#notices[at] as Removal<V>;
        this.#notices[at] = undefined;
        at += 1;
        this.#onRemove?.(notice.key, notice.value, notice.cause, notice.hash);
      }
    } finally {
      // After a listener threw, those not told yet are told by the next call.
      if (at < this.#untold || this.#notices.length > MOST_NOTICES)
        this.#notices = this.#notices.slice(at, this.#untold);
      this.#untold = Math.max(0, this.#untold - at);
      this.#delivering = false;
    }
  }

  #isOver(slot: number): boolean {
    const deadline = this.#deadlines.of(slot);
    return deadline !== Number.POSITIVE_INFINITY && deadline <= this.#clock.now();
  }

  #tellUses(): void {
    const count = this.#noted;
    if (count === 0) return;
    this.#noted = 0;
    this.#policy.onUse(this.#ring, count);
    if (this.#onSample !== undefined) this.#sample(count, this.#onSample);
  }

  #sample(count: number, onSample: (key: string) => number): void {
    let at = this.#unsampled;
    while (at < count) at += onSample(this.#table.keyAt(this.#ring[at] as number) as string);
    this.#unsampled = at - count;
  }

  /** Removes what is due, and answers with the time. */
  #sweep(): number {
    const now = this.#clock.recent();
    this.#deadlines.advance(now, MOST_EXPIRED, this.#expire);
    return now;
  }

  readonly #expire = (slot: number): void => this.#remove(slot, "expired");

  #ringing(): void {
    this.#setAlarm(this.#sweep());
    this.#deliver();
  }

  #takeSlot(): number {
    if (this.#free !== 0) {
      const slot = this.#free - 1;
      this.#free = this.#weights.of(slot);
      return slot;
    }
    if (this.#top === this.#weights.slots) this.#grow();
    this.#top += 1;
    return this.#top - 1;
  }

  /** One slot more than entries allowed: a newcomer is stored before its victim leaves. */
  #grow(): void {
    const slots = Math.min(Math.max(FEWEST_SLOTS, 2 * this.#weights.slots), this.#maxEntries + 1);
    this.#weights.resize(slots);
    this.#table.resize(slots);
    this.#vouches.resize(slots);
    this.#deadlines.resize(slots);
    this.#policy.resize(slots);
  }

  #reset(): void {
    this.#alarm.cancel();
    this.#deadlines.clear();
    this.#table.clear();
    this.#vouches.clear();
    this.#weights.resize(0);
    this.#top = 0;
    this.#free = 0;
    this.#bytes = 0;
  }
}

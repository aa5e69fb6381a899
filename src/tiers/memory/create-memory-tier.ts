import type { Clock } from "../../clock.js";
import { Alarm } from "./alarm.js";
import { hashKey } from "./hash-key.js";
import { MOST_ENTRIES, toBytes, toCount } from "./limits.js";
import type { MemoryTier, MemoryTierStats, RemovalCause } from "./memory-tier.js";
import type { EvictionPolicy, PolicyFactory } from "./policy.js";
import { TimerWheel } from "./timer-wheel.js";
import { createWTinyLfu } from "./w-tiny-lfu.js";

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
  /** Told of every value that left, once each, when the tier is consistent again: it may use the tier. It must not throw. */
  readonly onRemove?: ((key: string, value: V, cause: RemovalCause) => void) | undefined;
  /**
   * Told of one use in so many; its answer, an integer of 1 or more, says which the next one is: 1 for the very next. It
   * must neither throw nor use the tier.
   */
  readonly onSample?: ((key: string) => number) | undefined;
  /** @default createWTinyLfu */
  readonly policy?: PolicyFactory | undefined;
}

/** Uses noted before the policy hears of them. */
const RING = 64;
const FEWEST_SLOTS = 16;
/** Expired entries removed in one go, so that a million that expire together do not hold up the process. */
const MOST_EXPIRED = 4096;
const MOST_UINT32 = 2 ** 32 - 1;
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

interface Notice<V> {
  readonly key: string;
  readonly value: V;
  readonly cause: RemovalCause;
}

/**
 * One Map from key to slot; all else about an entry is in arrays at its slot (the layout of lru-cache), which costs a
 * fraction of an object per entry and gives the garbage collector nothing to trace. Arrays double up to
 * `maxEntries`; the slots of removed entries are used again, chained through their weights.
 *
 * Between any two public calls:
 *  1. a slot below `#top` either is in the Map, the policy and, with a deadline, the wheel; or in the free chain;
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
  readonly #seed: number;
  readonly #onRemove: ((key: string, value: V, cause: RemovalCause) => void) | undefined;
  readonly #onSample: ((key: string) => number) | undefined;
  readonly #policy: EvictionPolicy;
  readonly #wheel: TimerWheel;
  readonly #alarm: Alarm;
  readonly #ring = new Uint32Array(RING);
  #noted = 0;
  /** Uses to pass by before the next that is sampled. */
  #unsampled = 0;
  /** Keys with their rank. */
  #pinned = NOTHING_PINNED;

  #index = new Map<string, number>();
  #keys: (string | undefined)[] = [];
  #values: (V | undefined)[] = [];
  #weights: Uint32Array | Float64Array;
  #top = 0;
  /** First free slot + 1, 0 for none; a free slot's weight is the next one likewise. */
  #free = 0;
  #bytes = 0;

  #notices: Notice<V>[] = [];
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
    this.#seed = Math.floor(random() * 2 ** 32);
    this.#onRemove = options.onRemove;
    this.#onSample = options.onSample;
    this.#weights = this.#newWeights(0);
    this.#wheel = new TimerWheel(this.#clock.now());
    this.#alarm = new Alarm(this.#clock, () => this.#ringing());
    this.#policy = (options.policy ?? createWTinyLfu)({
      maxEntries: this.#maxEntries,
      maxBytes: this.#maxBytes,
      weightOf: (slot) => this.#weights[slot] as number,
      random,
    });
  }

  get(key: string, now?: number): V | undefined {
    const slot = this.#index.get(key);
    if (slot === undefined) return undefined;
    const deadline = this.#wheel.deadlineOf(slot);
    if (deadline !== Number.POSITIVE_INFINITY && deadline <= (now ?? this.#clock.now())) {
      this.#remove(slot, "expired");
      this.#deliver();
      return undefined;
    }
    this.#ring[this.#noted] = slot;
    this.#noted += 1;
    if (this.#noted === RING) this.#tellUses();
    return this.#values[slot];
  }

  peek(key: string): V | undefined {
    const slot = this.#index.get(key);
    return slot === undefined || this.#isOver(slot) ? undefined : this.#values[slot];
  }

  set(key: string, value: V, weight: number, expiresAt: number): boolean {
    if (this.#closed) return false;
    const stored = this.#store(key, value, Math.ceil(weight), expiresAt);
    this.#deliver();
    return stored;
  }

  touch(key: string, expiresAt: number): boolean {
    const slot = this.#index.get(key);
    if (slot === undefined) return false;
    const now = this.#clock.now();
    const stored = this.#wheel.deadlineOf(slot) > now;
    if (stored && expiresAt > now) this.#schedule(slot, expiresAt, now);
    else this.#remove(slot, "expired");
    this.#deliver();
    return stored;
  }

  delete(key: string): boolean {
    const slot = this.#index.get(key);
    if (slot === undefined) return false;
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
    const slot = this.#index.get(key);
    return slot !== undefined && !this.#isOver(slot) && this.#isSpared(slot);
  }

  clear(): void {
    for (let slot = 0; slot < this.#top; slot += 1) {
      if (this.#keys[slot] !== undefined) this.#remove(slot, this.#isOver(slot) ? "expired" : "deleted");
    }
    this.#reset();
    this.#policy.resize(0);
    this.#deliver();
  }

  /** By slot and not by the Map, whose iterator would never end for a caller who deletes and sets as it goes. */
  *entries(): IterableIterator<[key: string, value: V]> {
    const top = this.#top;
    for (let slot = 0; slot < top; slot += 1) {
      const key = this.#keys[slot];
      if (key !== undefined && !this.#isOver(slot)) yield [key, this.#values[slot] as V];
    }
  }

  get size(): number {
    return this.#index.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  stats(): MemoryTierStats {
    return {
      entries: this.#index.size,
      bytes: this.#bytes,
      maxEntries: this.#maxEntries,
      maxBytes: this.#maxBytes,
      evicted: this.#evicted,
      expired: this.#expired,
      refused: this.#refused,
      windowShare: this.#policy.stats.windowShare,
    };
  }

  close(): void {
    this.#closed = true;
    this.#notices = [];
    this.#noted = 0;
    this.#pinned = NOTHING_PINNED;
    this.#reset();
  }

  #store(key: string, value: V, weight: number, expiresAt: number): boolean {
    // Without deadlines nothing needs the time.
    const timeless = expiresAt === Number.POSITIVE_INFINITY && this.#wheel.size === 0;
    const now = timeless ? Number.NEGATIVE_INFINITY : this.#sweep();
    this.#tellUses();
    let slot = this.#index.get(key);
    if (slot !== undefined && this.#wheel.deadlineOf(slot) <= now) {
      this.#remove(slot, "expired");
      slot = undefined;
    }
    const fits = weight >= 0 && weight <= this.#maxEntryBytes;
    if (!fits || !(expiresAt > now)) {
      if (slot !== undefined) this.#remove(slot, "replaced");
      this.#gone(key, value, fits ? "expired" : "refused");
      return false;
    }
    if (slot === undefined) slot = this.#add(key, value, weight);
    else this.#replace(slot, value, weight);
    this.#schedule(slot, expiresAt, now);
    return this.#makeRoom(slot, now);
  }

  #add(key: string, value: V, weight: number): number {
    const slot = this.#takeSlot();
    this.#index.set(key, slot);
    this.#keys[slot] = key;
    this.#values[slot] = value;
    this.#weights[slot] = weight;
    this.#bytes += weight;
    this.#policy.onAdd(slot, hashKey(key, this.#seed));
    return slot;
  }

  #replace(slot: number, value: V, weight: number): void {
    const previousWeight = this.#weights[slot] as number;
    this.#gone(this.#keys[slot] as string, this.#values[slot] as V, "replaced");
    this.#values[slot] = value;
    this.#weights[slot] = weight;
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
    while (this.#index.size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const victim = this.#policy.nextVictim();
      if (spares > 0 && this.#wheel.deadlineOf(victim) > now && this.#isSpared(victim)) {
        spares -= 1;
        this.#policy.onSpare(victim);
      } else if (victim === newcomer) {
        stored = false;
        this.#remove(victim, "refused");
      } else {
        this.#remove(victim, this.#wheel.deadlineOf(victim) <= now ? "expired" : "evicted");
      }
    }
    return stored;
  }

  /** Pinned, and with those pinned before it not more than the pinned may weigh: the first ones have the room. */
  #isSpared(slot: number): boolean {
    const rank = this.#pinned.get(this.#keys[slot] as string);
    if (rank === undefined) return false;
    let bytes = this.#weights[slot] as number;
    for (const [key, other] of this.#pinned) {
      if (other === rank) break;
      const before = this.#index.get(key);
      if (before !== undefined) bytes += this.#weights[before] as number;
    }
    return bytes <= this.#maxBytes * PINNED_SHARE;
  }

  #schedule(slot: number, expiresAt: number, now: number): void {
    this.#wheel.schedule(slot, expiresAt);
    this.#setAlarm(now);
  }

  #setAlarm(now: number): void {
    if (this.#wheel.size === 0) this.#alarm.cancel();
    else this.#alarm.atLatest(this.#wheel.nextTime, now);
  }

  #remove(slot: number, cause: RemovalCause): void {
    this.#tellUses();
    const key = this.#keys[slot] as string;
    const value = this.#values[slot] as V;
    this.#index.delete(key);
    this.#policy.onRemove(slot);
    this.#wheel.remove(slot);
    if (this.#wheel.size === 0) this.#alarm.cancel();
    this.#keys[slot] = undefined;
    this.#values[slot] = undefined;
    this.#bytes -= this.#weights[slot] as number;
    this.#weights[slot] = this.#free;
    this.#free = slot + 1;
    this.#gone(key, value, cause);
  }

  #gone(key: string, value: V, cause: RemovalCause): void {
    if (cause === "evicted") this.#evicted += 1;
    else if (cause === "expired") this.#expired += 1;
    else if (cause === "refused") this.#refused += 1;
    if (this.#onRemove !== undefined) this.#notices.push({ key, value, cause });
  }

  /** A listener may change the tier and so lengthen the queue; the outermost call empties it. */
  #deliver(): void {
    if (this.#delivering || this.#notices.length === 0) return;
    this.#delivering = true;
    let at = 0;
    try {
      for (; at < this.#notices.length; at += 1) {
        const notice = this.#notices[at] as Notice<V>;
        this.#onRemove?.(notice.key, notice.value, notice.cause);
      }
    } finally {
      // After a listener threw, those not told yet are told by the next call.
      this.#notices = this.#notices.slice(at + 1);
      this.#delivering = false;
    }
  }

  #isOver(slot: number): boolean {
    const deadline = this.#wheel.deadlineOf(slot);
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
    while (at < count) at += onSample(this.#keys[this.#ring[at] as number] as string);
    this.#unsampled = at - count;
  }

  /** Removes what is due, and answers with the time. */
  #sweep(): number {
    const now = this.#clock.now();
    this.#wheel.advance(now, MOST_EXPIRED, this.#expire);
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
      this.#free = this.#weights[slot] as number;
      return slot;
    }
    if (this.#top === this.#weights.length) this.#grow();
    this.#top += 1;
    return this.#top - 1;
  }

  /** One slot more than entries allowed: a newcomer is stored before its victim leaves. */
  #grow(): void {
    const slots = Math.min(Math.max(FEWEST_SLOTS, 2 * this.#weights.length), this.#maxEntries + 1);
    const weights = this.#newWeights(slots);
    weights.set(this.#weights);
    this.#weights = weights;
    // Set at once to what is needed: grown by one, they would each time get half as much again.
    this.#keys.length = slots;
    this.#values.length = slots;
    this.#wheel.resize(slots);
    this.#policy.resize(slots);
  }

  #newWeights(slots: number): Uint32Array | Float64Array {
    return this.#maxEntryBytes <= MOST_UINT32 ? new Uint32Array(slots) : new Float64Array(slots);
  }

  #reset(): void {
    this.#alarm.cancel();
    this.#wheel.clear();
    this.#index = new Map();
    this.#keys = [];
    this.#values = [];
    this.#weights = this.#newWeights(0);
    this.#top = 0;
    this.#free = 0;
    this.#bytes = 0;
  }
}

import type { Clock } from "../clock.js";
import type { Listing, ListStep } from "../tiers/shared.js";
import { KIND, USAGE_KEY, type Layout } from "./layout.js";
import {
  decodeEntry,
  decodeUsage,
  encodeEntry,
  encodeUsage,
  entryTimes,
  pathOfEntry,
  type StoredEntry,
  type Usage,
} from "./records.js";
import type { Table } from "./table.js";

/** A time further ahead than this was written before the clock was set back. */
export const CLOCK_SLACK = 1_000;

const SAMPLE = 5;
/** One write in so many looks for entries whose time is over, and then at twice as many: two for each one written. */
const SWEEP_EVERY = 4;
const SWEEP = SWEEP_EVERY * 2;
/** Most entries one step of a listing looks at. */
const MOST_LISTED = 1_000;
/** Entries evicted in one step: every writer of the machine waits meanwhile. The next steps go on with it. */
const MAX_EVICTED = 256;
/** No entry takes more than one part in so many. */
const LARGEST_SHARE = 4;
/** A power of two, 8 bytes each. */
const READ_SLOTS = 32_768;
const PAGE_HEAD = 24;
const NODE_HEAD = 10;

/**
 * The entries of every cache in an environment, bounded in bytes. For implementers:
 *
 * - The bytes are those of the pages an entry fills: LMDB puts what exceeds half a page on pages of its own.
 * - Entries lie in the order of a hash, so a few in a row from a random place are a fair sample. Of a sample what
 *   is over its time goes, else what was not used for longest: sampled LRU, without a list to keep in order.
 * - Reads must not write, so when an entry was read is known only to the process that did, in 32,768 slots that its
 *   hash selects. To the others it goes by the time it was written. That is good enough behind memory tiers, which
 *   keep the hot entries to themselves: what a tier behind them sees of an entry is mostly its first read.
 * - Deadlines are on the wall clock, the one that outlives processes. Each entry also has the time it was written: in
 *   the future, it says that the clock was set back, and the entry is over. So a step back costs entries, like a step
 *   ahead, and lets none live longer than one time to live from now.
 */
export class Entries {
  readonly #table: Table;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #maxBytes: number;
  readonly #pageSize: number;
  readonly #readAt = new Float64Array(READ_SLOTS);
  #usage: Usage | undefined;
  #changed = false;

  constructor(table: Table, options: { clock: Clock; random: () => number; maxBytes: number; pageSize: number }) {
    this.#table = table;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#maxBytes = options.maxBytes;
    this.#pageSize = options.pageSize;
  }

  /** Before a step that writes: what was known is another transaction's. */
  begin(): void {
    this.#usage = undefined;
    this.#changed = false;
  }

  /** After it. */
  finish(): void {
    if (this.#changed) this.#table.put(USAGE_KEY, encodeUsage(USAGE_KEY, this.usage()));
  }

  usage(): Usage {
    if (this.#usage === undefined) {
      const bytes = this.#table.get(USAGE_KEY);
      this.#usage = bytes === undefined ? { bytes: 0, entries: 0 } : decodeUsage(USAGE_KEY, bytes);
    }
    return this.#usage;
  }

  get(layout: Layout, path: string): StoredEntry | undefined {
    const key = layout.entry(path);
    const bytes = this.#table.get(key);
    if (bytes === undefined) return undefined;
    this.#readAt[slotOf(key)] = this.#clock.wall();
    const stored = decodeEntry(key, bytes, path);
    return stored !== undefined && this.#isLive(stored) ? stored : undefined;
  }

  /** One too large for its share of all is evicted at once. */
  put(layout: Layout, path: string, value: Uint8Array, ttl: number): void {
    const since = this.#clock.wall();
    const key = layout.entry(path);
    this.#store(key, encodeEntry(key, path, since, since + ttl, value));
    this.#makeRoom();
  }

  /** Sets the soft-stale flag; false when there is no entry. */
  flagStale(layout: Layout, path: string): boolean {
    const stored = this.get(layout, path);
    if (stored === undefined || stored.value.length < 12) return false;
    stored.value[3] = 1;
    const key = layout.entry(path);
    this.#store(key, encodeEntry(key, path, stored.since, stored.until, stored.value));
    return true;
  }

  /** Whether there was a living one. */
  remove(layout: Layout, path: string): boolean {
    const key = layout.entry(path);
    const found = this.#table.glance(key, (bytes) => {
      const stored = decodeEntry(key, bytes, path);
      return { size: this.#sizeOf(bytes.length), live: stored !== undefined && this.#isLive(stored) };
    });
    if (found === undefined) return false;
    this.#drop(key, found.size);
    return found.live;
  }

  /** Those of one cache among the next few of all: they lie in the order of a hash. */
  list(layout: Layout, { beginning, cursor, count }: ListStep): Listing {
    const limit = Math.max(1, Math.min(MOST_LISTED, Math.round(count)));
    // The key after the last one seen: that one with a byte more.
    const start = cursor === undefined ? Uint8Array.of(KIND.entry) : Buffer.from(`${cursor}00`, "hex");
    const found = this.#table.items({ start, end: Uint8Array.of(KIND.entry + 1), limit });
    const keys: string[] = [];
    for (const { key, value } of found) {
      const path = pathOfEntry(value);
      if (path === undefined || !path.startsWith(beginning)) continue;
      const stored = decodeEntry(key, value, path);
      const isOurs = Buffer.compare(layout.entry(path), key) === 0;
      if (isOurs && stored !== undefined && this.#isLive(stored)) keys.push(path);
    }
    const last = found.at(-1);
    return {
      keys,
      cursor: found.length < limit || last === undefined ? undefined : Buffer.from(last.key).toString("hex"),
    };
  }

  /** Evicts until it fits, as far as one step may; `target` is less than all when the disk is full. */
  evictDownTo(target: number): void {
    for (let evicted = 0; this.usage().bytes > target && evicted < MAX_EVICTED; evicted++) {
      if (!this.#evictOne()) return;
    }
  }

  #isLive({ since, until }: { since: number; until: number }): boolean {
    const now = this.#clock.wall();
    return now < until && since <= now + CLOCK_SLACK;
  }

  #store(key: Uint8Array, bytes: Uint8Array): void {
    const size = this.#sizeOf(bytes.length);
    const old = this.#table.glance(key, (found) => this.#sizeOf(found.length));
    if (size > this.#maxBytes / LARGEST_SHARE) {
      if (old !== undefined) this.#drop(key, old);
      return;
    }
    this.#table.put(key, bytes);
    this.#count(size - (old ?? 0), old === undefined ? 1 : 0);
  }

  #makeRoom(): void {
    if (this.#random() * SWEEP_EVERY < 1) {
      for (const key of this.#table.sample(KIND.entry, SWEEP, this.#random)) this.#dropIfOver(key);
    }
    this.evictDownTo(this.#maxBytes);
  }

  #evictOne(): boolean {
    let victim: { key: Uint8Array; size: number; usedAt: number } | undefined;
    const sample = this.#table.sample(KIND.entry, SAMPLE, this.#random);
    for (const key of sample) {
      const found = this.#dropIfOver(key);
      if (found === undefined) return true;
      const usedAt = this.#lastUse(key, found.since);
      if (victim === undefined || usedAt < victim.usedAt) victim = { key, size: found.size, usedAt };
    }
    if (victim === undefined) return false;
    this.#drop(victim.key, victim.size);
    return true;
  }

  /** `undefined` when it was over, and is gone. */
  #dropIfOver(key: Uint8Array): { size: number; since: number } | undefined {
    const found = this.#table.glance(key, (bytes) => ({ size: this.#sizeOf(bytes.length), ...entryTimes(bytes) }));
    if (found === undefined) return undefined;
    if (this.#isLive(found)) return found;
    this.#drop(key, found.size);
    return undefined;
  }

  #drop(key: Uint8Array, size: number): void {
    this.#table.remove(key);
    this.#count(-size, -1);
  }

  #count(bytes: number, entries: number): void {
    const usage = this.usage();
    this.#usage = { bytes: usage.bytes + bytes, entries: usage.entries + entries };
    this.#changed = true;
  }

  #sizeOf(length: number): number {
    const node = NODE_HEAD + 21 + length;
    if (node <= this.#pageSize / 2 - NODE_HEAD) return node;
    return NODE_HEAD + 21 + PAGE_HEAD + Math.ceil((PAGE_HEAD + length) / this.#pageSize) * this.#pageSize;
  }

  /** When it was last written, or read by this process as far as that is known. */
  #lastUse(key: Uint8Array, since: number): number {
    return Math.max(since, this.#readAt[slotOf(key)] ?? 0);
  }
}

function slotOf(key: Uint8Array): number {
  return ((key[1] ?? 0) | ((key[2] ?? 0) << 8)) & (READ_SLOTS - 1);
}

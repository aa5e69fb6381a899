import { crc32 } from "node:zlib";

import type { Clock } from "../clock.js";
import { STAMP_LENGTH, STAMP_OFFSET } from "../entries/envelope.js";
import type { Held } from "../entries/held.js";
import type { Found, ReadSpec } from "../load/shared-entries.js";
import type { SharedAnswer } from "../load/shared-reader.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { Sides } from "../tiers/sides.js";

/*
 * Copies of hot entries on other shards than their own (their *home*), so that those who have no memory to keep them in do
 * not all fetch the same bytes from one server.
 *
 * A copy is the entry's bytes with a trailer: the position `good` of the home's log up to which the entry is known not to
 * be invalidated. Whoever copies has read both from the home in one atomic step, and judged the entry as any reader
 * does. No log of the copy's shard has a say in it, and nobody tells copies of invalidations. Instead a reader
 *
 *   1. reads the copy, and in the same turn the head of the home's log: a few bytes, once for all reads of a turn;
 *   2. has applied the home's log up to that head, reading on if need be (`LogFollower.confirm`);
 *   3. believes the copy iff it knows of everything that was invalidated after `good`, and nothing of it hits the entry.
 *
 * Why no read that begins after an invalidation was acknowledged gets what it invalidated: the invalidation has a
 * position k in the home's log, and the head read in 1 is k or later, so by 3 the reader has applied k. If k > good it
 * hits: a mark by `Marks`, a key by the position noted here. If k <= good the copy was read after it took effect at the
 * home, where it removed the entry. Softly invalidated is not believed either: the home knows what stale means.
 *
 * "Knows of everything after `good`": marks remember since `Marks.since`; keys are noted here from the moment a key's copies
 * are used (`since`). An older copy is not believed but replaced by what the home has; so each process replaces it
 * once at the most. A process whose log was lost begins anew, past every position it has heard of: `good` may be a
 * position of a history that is gone. (There is one way left to take such a one for good: a server whose clock is so
 * far behind the one it takes over from that it gives the same positions again *after* the failover has lasted.)
 *
 * What is invalidated but not acknowledged (`Unsent`) is asked for as well. In any doubt, and whenever a shard does not
 * answer, the home is read; so copies can make a read slower, but never wrong.
 *
 * A copy may lag behind a home that was refreshed before the entry's end: both are valid, but one process must not see the
 * newer and then the older. So it remembers which it has seen last, and who refreshes replaces the copies.
 *
 * Copies are stored under a lease of their own shard, without a record: among many processes that find none, one stores
 * it. They expire with the freshness of the entry.
 */

/** Begins no entry's path. */
const PREFIX = "!copy:";
/** After the entry's bytes: `good` as float64, little-endian, and the CRC-32 of it and the stamp. */
const TRAILER = 12;
/** How long a process has for storing a copy, and how often it does so for one key on one shard at the most; milliseconds. */
const LEASE = 1_000;
const PAUSE = 250;

/** An entry as its home has it. */
interface Original {
  readonly bytes: Uint8Array;
  readonly stamp: Uint8Array;
  /** Of the home's log: up to here it is known good. */
  readonly position: number;
  /** On the monotonic clock, as is the end of its freshness. */
  readonly createdAt: number;
  readonly until: number;
}

/** What this process knows of one key's copies. */
interface Copied {
  readonly home: SharedSide;
  /** Every invalidation of the key after this position is noted. */
  since: number;
  /** The position of the newest one; 0 for none. */
  invalidatedAt: number;
  /** Counts reads, so that they go round. */
  turn: number;
  /** Reads that a copy has answered. */
  hits: number;
  /** The entry seen last. */
  seen: { readonly stamp: Uint8Array; readonly createdAt: number } | undefined;
  /** By shard, when a copy was last stored by this process. */
  readonly storedAt: Map<number, number>;
}

/** The copies of hot entries: read instead of the entry, and made. */
export class HotCopies {
  readonly #count: number;
  readonly #sides: () => Sides;
  readonly #clock: Clock;
  readonly #isHot: (path: string) => boolean;
  readonly #copied = new Map<string, Copied>();
  #granted = 0;

  /** @param parts.count how many shards have a hot entry, its home included. */
  constructor(parts: { count: number; sides: () => Sides; clock: Clock; isHot: (path: string) => boolean }) {
    this.#count = parts.count;
    this.#sides = parts.sides;
    this.#clock = parts.clock;
    this.#isHot = parts.isHot;
  }

  /** The entry, from its home or from a copy. */
  find(home: SharedSide, path: string, spec: ReadSpec): Promise<Found> {
    const { length } = this.#sides().all;
    const count = Math.min(this.#count, length);
    if (count < 2 || !this.#isHot(path) || home.follower.position === undefined) return home.entries.find(path, spec);
    const copied = this.#of(home, path);
    copied.turn = (copied.turn + 1) % count;
    const other = this.#shard(home, copied.turn, count);
    if (other === undefined || copied.turn === 0 || !other.guard.up) return this.#atHome(copied, path, spec);
    return this.#withCopy(copied, other, path, spec);
  }

  /** A record of the key's home names it. */
  invalidated(path: string, position: number): void {
    if (this.#copied.size === 0) return;
    const copied = this.#copied.get(path);
    if (copied !== undefined) copied.invalidatedAt = Math.max(copied.invalidatedAt, position);
  }

  /** The home's log could not be followed up to `position`. */
  lost(home: SharedSide, position: number): void {
    for (const copied of this.#copied.values())
      if (copied.home === home) copied.since = Math.max(copied.since, position + 1);
  }

  /** This process has filled its home with a new entry: the copies are those of the one before. */
  filled(path: string, entry: Original): void {
    const copied = this.#copied.get(path);
    if (copied === undefined) return;
    copied.seen = entry;
    const count = Math.min(this.#count, this.#sides().all.length);
    for (let turn = 1; turn < count; turn += 1) {
      const other = this.#shard(copied.home, turn, count);
      if (other !== undefined) this.#store(copied, other, path, entry, { takeOver: true });
    }
  }

  /** Reads that a copy has answered since the key became hot. */
  hits(path: string): number {
    return this.#copied.get(path)?.hits ?? 0;
  }

  /** The key is not hot any more. */
  forget(path: string): void {
    this.#copied.delete(path);
  }

  /** Evenly spread over the shards: neighbours may well lie on one server. */
  #shard(home: SharedSide, turn: number, count: number): SharedSide | undefined {
    const { all } = this.#sides();
    return all[(home.shard + Math.floor((turn * all.length) / count)) % all.length];
  }

  #of(home: SharedSide, path: string): Copied {
    let copied = this.#copied.get(path);
    if (copied === undefined) {
      // Applied from now on is noted; what was given and is not applied yet will be.
      const since = home.follower.known;
      copied = { home, since, invalidatedAt: 0, turn: 0, hits: 0, seen: undefined, storedAt: new Map() };
      this.#copied.set(path, copied);
    }
    return copied;
  }

  async #withCopy(copied: Copied, other: SharedSide, path: string, spec: ReadSpec): Promise<Found> {
    const { home } = copied;
    const [bytes, confirmed] = await Promise.all([this.#read(other, PREFIX + path), home.follower.confirm()]);
    if (confirmed && bytes !== undefined) {
      const found = await this.#believed(copied, path, bytes, spec);
      if (found !== undefined) {
        copied.hits += 1;
        return found;
      }
    }
    const seen = bytes?.slice(STAMP_OFFSET, STAMP_OFFSET + STAMP_LENGTH);
    return this.#atHome(copied, path, spec, (entry) => this.#store(copied, other, path, entry, { seen }));
  }

  /** `undefined`, too, when its shard does not answer: the guard has counted and told it. */
  async #read(side: SharedSide, path: string): Promise<Uint8Array | undefined> {
    try {
      return await side.entries.bytesOf((await side.entries.read(path)).value);
    } catch {
      return undefined;
    }
  }

  /** The home's log is applied up to a head that was read after the read of the entry began. */
  async #believed(copied: Copied, path: string, copy: Uint8Array, spec: ReadSpec): Promise<Found | undefined> {
    const { home } = copied;
    const good = goodOf(copy);
    if (good === undefined || good > (home.follower.position ?? 0)) return undefined;
    const found = await home.entries.examineCopy(path, copy.subarray(0, copy.length - TRAILER), good, spec);
    // Asked at the end, and whether it still is this process's knowledge: of a key that has cooled nothing is noted.
    if (this.#copied.get(path) !== copied || good < copied.since || good < copied.invalidatedAt) return undefined;
    if (found?.state !== "fresh" || !isCurrent(copied, found.held)) return undefined;
    return found;
  }

  async #atHome(copied: Copied, path: string, spec: ReadSpec, onFresh?: (entry: Original) => void): Promise<Found> {
    const { entries } = copied.home;
    let answer: SharedAnswer;
    let bytes: Uint8Array | undefined;
    try {
      answer = await entries.read(path);
      bytes = await entries.bytesOf(answer.value);
    } catch {
      return { state: "down" };
    }
    const found = await entries.examine(path, bytes, answer.head, spec, answer.stood);
    if (found.state !== "fresh" || bytes === undefined) return found;
    const { fields, createdAt, position, staleFrom } = found.held;
    copied.seen = { stamp: fields.stamp, createdAt };
    if (!fields.sliding) onFresh?.({ bytes, stamp: fields.stamp, position, createdAt, until: staleFrom });
    return found;
  }

  /** In the background: nobody waits for a copy. */
  #store(
    copied: Copied,
    other: SharedSide,
    path: string,
    entry: Original,
    over: { readonly takeOver: true } | { readonly seen: Uint8Array | undefined },
  ): void {
    const now = this.#clock.now();
    const life = Math.floor(entry.until - now);
    const isSoon = now < (copied.storedAt.get(other.shard) ?? Number.NEGATIVE_INFINITY) + PAUSE;
    if (life < 1 || !other.guard.up || (isSoon && !("takeOver" in over))) return;
    copied.storedAt.set(other.shard, now);
    this.#granted += 1;
    const token = `${other.origin}.copy${this.#granted}`;
    const { leases } = other.tier;
    const copyPath = PREFIX + path;
    other.guard
      .call("leases.acquire", () => leases.acquire(copyPath, { token, ttl: LEASE, ...over }))
      .then(async ({ state }) => {
        if (state !== "won") return;
        await other.guard.call("leases.fill", () => leases.fill(copyPath, token, copyOf(entry), life));
      })
      // Counted and told by the guard; reads go on at the home.
      .catch(() => undefined);
  }
}

/** Whether it is the entry seen last, or a newer one. */
function isCurrent({ seen }: Copied, { fields, createdAt }: Held): boolean {
  return seen === undefined || createdAt >= seen.createdAt || seen.stamp.every((byte, at) => byte === fields.stamp[at]);
}

function copyOf({ bytes, position }: Original): Uint8Array {
  const copy = new Uint8Array(bytes.length + TRAILER);
  copy.set(bytes);
  const view = new DataView(copy.buffer);
  view.setFloat64(bytes.length, position, true);
  view.setUint32(bytes.length + 8, checksumOf(copy), true);
  return copy;
}

/** `undefined` for what is no copy. */
function goodOf(copy: Uint8Array): number | undefined {
  if (copy.length < STAMP_OFFSET + STAMP_LENGTH + TRAILER) return undefined;
  const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
  if (view.getUint32(copy.length - 4, true) !== checksumOf(copy)) return undefined;
  const good = view.getFloat64(copy.length - TRAILER, true);
  return Number.isSafeInteger(good) ? good : undefined;
}

function checksumOf(copy: Uint8Array): number {
  const stamp = copy.subarray(STAMP_OFFSET, STAMP_OFFSET + STAMP_LENGTH);
  return crc32(copy.subarray(copy.length - TRAILER, copy.length - 4), crc32(stamp));
}

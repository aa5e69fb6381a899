import type { Clock } from "../clock.js";
import type { Head, Mark } from "../invalidation/record.js";
import type { LeaseAnswer, Listing, ListStep, SharedPut, SharedRead } from "../tiers/shared.js";
import { CLOCK_SLACK, type Entries } from "./entries.js";
import { KIND, type Layout } from "./layout.js";
import { headOf, type Ledger } from "./ledger.js";
import { decodeLease, encodeLease, type Lease } from "./records.js";
import type { Table } from "./table.js";

const FLAG = 3;
const STAMP = 4;
const STAMP_END = 12;

/** One lease in so many looks for those whose holders died, and then at twice as many. */
const SWEEP_EVERY = 4;
const SWEEP = SWEEP_EVERY * 2;

/** One cache in an environment. Every method is to be run in one transaction: `read` in any, the others in one that writes. */
export class Room {
  readonly ledger: Ledger;
  readonly #table: Table;
  readonly #layout: Layout;
  readonly #entries: Entries;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(
    table: Table,
    layout: Layout,
    parts: { ledger: Ledger; entries: Entries; clock: Clock; random: () => number },
  ) {
    this.ledger = parts.ledger;
    this.#table = table;
    this.#layout = layout;
    this.#entries = parts.entries;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  read(keys: readonly string[]): SharedRead {
    const state = this.ledger.state();
    const values = keys.map((key) => this.#entries.get(this.#layout, key)?.value);
    return { values, head: state && headOf(state) };
  }

  put(puts: readonly SharedPut[], origin: string): Head {
    // The last value of a key is the one that stays.
    const byKey = new Map(puts.map((put) => [put.key, put]));
    const marks = Array.from(byKey.keys(), (key): Mark => ({ kind: "key", key }));
    const head = this.ledger.append(marks, false, origin);
    for (const { key, value, ttl } of byKey.values()) {
      this.#table.remove(this.#layout.lease(key));
      this.#entries.put(this.#layout, key, value, ttl);
    }
    return head;
  }

  invalidate(marks: readonly Mark[], soft: boolean, origin: string): { head: Head; hit: number } {
    const distinct = [...new Map(marks.map((mark) => [JSON.stringify(Object.values(mark)), mark])).values()];
    const head = this.ledger.append(distinct, soft, origin);
    let hit = 0;
    for (const mark of distinct) {
      if (mark.kind !== "key") continue;
      this.#table.remove(this.#layout.lease(mark.key));
      const found = soft
        ? this.#entries.flagStale(this.#layout, mark.key)
        : this.#entries.remove(this.#layout, mark.key);
      if (found) hit += 1;
    }
    return { head, hit };
  }

  discard(key: string, stamp: Uint8Array): boolean {
    const stored = this.#entries.get(this.#layout, key);
    return stored !== undefined && isSame(stampOf(stored.value), stamp) && this.#entries.remove(this.#layout, key);
  }

  list(step: ListStep): Listing {
    return this.#entries.list(this.#layout, step);
  }

  acquire(key: string, token: string, ttl: number, seen: Uint8Array | undefined, takeOver: boolean): LeaseAnswer {
    const head = headOf(this.ledger.open());
    if (!takeOver) {
      const value = this.#entries.get(this.#layout, key)?.value;
      if (value !== undefined && value.length >= STAMP_END && value[FLAG] !== 1) {
        if (seen === undefined || !isSame(stampOf(value), seen)) return { state: "filled", value, head };
      }
      const lease = this.#lease(key);
      if (lease !== undefined && lease.token !== token) {
        return { state: "held", remaining: lease.until - this.#clock.wall(), head };
      }
    }
    this.#grant(key, token, ttl);
    this.#sweep();
    return { state: "won", fence: this.ledger.nextFence(), head };
  }

  renew(key: string, token: string, ttl: number): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#grant(key, token, ttl);
    return true;
  }

  fill(key: string, token: string, value: Uint8Array, ttl: number): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#entries.put(this.#layout, key, value, ttl);
    return this.release(key, token);
  }

  commit(key: string, token: string, value: Uint8Array, ttl: number, origin: string): Head | undefined {
    if (this.#lease(key)?.token !== token) return undefined;
    const head = this.ledger.append([{ kind: "key", key }], false, origin);
    this.fill(key, token, value, ttl);
    return head;
  }

  release(key: string, token: string): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#table.remove(this.#layout.lease(key));
    this.ledger.settle(key);
    return true;
  }

  #lease(path: string): Lease | undefined {
    const key = this.#layout.lease(path);
    const bytes = this.#table.get(key);
    const lease = bytes && decodeLease(key, bytes);
    return lease !== undefined && this.#stands(lease) ? lease : undefined;
  }

  #grant(path: string, token: string, ttl: number): void {
    const key = this.#layout.lease(path);
    const since = this.#clock.wall();
    this.#table.put(key, encodeLease(key, { token, since, until: since + ttl }));
  }

  /** A lease granted in the future was granted before the clock was set back: nobody knows how long it should last. */
  #stands({ since, until }: Lease): boolean {
    const now = this.#clock.wall();
    return now < until && since <= now + CLOCK_SLACK;
  }

  #sweep(): void {
    if (this.#random() * SWEEP_EVERY >= 1) return;
    for (const key of this.#table.sample(KIND.lease, SWEEP, this.#random)) {
      const bytes = this.#table.get(key);
      if (bytes !== undefined && !this.#stands(decodeLease(key, bytes))) this.#table.remove(key);
    }
  }
}

function stampOf(value: Uint8Array): Uint8Array {
  return value.subarray(STAMP, STAMP_END);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

import type { Clock } from "../clock.js";
import type { Head, LogRecord, Mark } from "../invalidation/record.js";
import type { LeaseAnswer, LogSignal, SharedPut, SharedRead } from "../tiers/shared.js";

export interface RoomBounds {
  readonly logLength: number;
  readonly maxMarks: number;
  readonly maxRules: number;
}

interface Stored {
  value: Uint8Array;
  readonly expiresAt: number;
}

interface Lease {
  readonly token: string;
  readonly expiresAt: number;
}

interface Moved {
  readonly mark: Mark;
  readonly soft: boolean;
  readonly position: number;
}

const FLAG = 3;
const STAMP = 4;
const STAMP_END = 12;

/** What the server holds of one cache. Every method is one atomic step. */
export class SharedRoom {
  readonly #clock: Clock;
  readonly #bounds: RoomBounds;
  readonly #nextFence: () => number;
  readonly #publish: (signal: LogSignal) => void;
  readonly #entries = new Map<string, Stored>();
  readonly #leases = new Map<string, Lease>();
  // Oldest position first: a mark that moves is taken out and put in again.
  readonly #marks = new Map<string, Moved>();
  readonly #rules = new Map<string, Moved>();
  #log: LogRecord[] = [];
  #head: Head | undefined;
  /** Outlives a flush, as a server's clock does: no position is ever given twice. */
  #lastPosition = 0;

  constructor(clock: Clock, bounds: RoomBounds, nextFence: () => number, publish: (signal: LogSignal) => void) {
    this.#clock = clock;
    this.#bounds = bounds;
    this.#nextFence = nextFence;
    this.#publish = publish;
  }

  flush(): void {
    this.#entries.clear();
    this.#leases.clear();
    this.#marks.clear();
    this.#rules.clear();
    this.#log = [];
    this.#head = undefined;
  }

  trimLog(keep: number): void {
    this.#log = keep === 0 ? [] : this.#log.slice(-keep);
  }

  read(keys: readonly string[]): SharedRead {
    return { values: keys.map((key) => this.#entry(key)?.value.slice()), head: this.#head };
  }

  put(puts: readonly SharedPut[], origin: string): Head {
    const byKey = new Map(puts.map((put) => [put.key, put]));
    const head = this.#append(
      Array.from(byKey.keys(), (key): Mark => ({ kind: "key", key })),
      false,
      origin,
    );
    for (const { key, value, ttl } of byKey.values()) {
      this.#leases.delete(key);
      this.#entries.set(key, { value, expiresAt: this.#clock.now() + ttl });
    }
    return head;
  }

  invalidate(marks: readonly Mark[], soft: boolean, origin: string): { head: Head; hit: number } {
    const distinct = [...new Map(marks.map((mark) => [nameOf(mark, soft), mark])).values()];
    const head = this.#append(distinct, soft, origin);
    let hit = 0;
    for (const mark of distinct) {
      if (mark.kind !== "key") continue;
      this.#leases.delete(mark.key);
      if (soft ? this.#flagStale(mark.key) : this.#remove(mark.key)) hit += 1;
    }
    return { head, hit };
  }

  positionsOf(marks: readonly Mark[]): readonly { hard: number; soft: number }[] {
    const { floor } = this.head();
    const at = (name: string): number => this.#marks.get(name)?.position ?? this.#rules.get(name)?.position ?? 0;
    return marks.map((mark) => ({ hard: Math.max(floor, at(nameOf(mark, false))), soft: at(nameOf(mark, true)) }));
  }

  listRules(): readonly { mark: Mark; hard: number; soft: number }[] {
    this.head();
    const rules = new Map<string, { mark: Mark; hard: number; soft: number }>();
    for (const { mark, soft, position } of this.#rules.values()) {
      const name = nameOf(mark, false);
      const rule = rules.get(name) ?? { mark, hard: 0, soft: 0 };
      rule[soft ? "soft" : "hard"] = position;
      rules.set(name, rule);
    }
    return [...rules.values()];
  }

  discard(key: string, stamp: Uint8Array): boolean {
    const stored = this.#entry(key);
    return stored !== undefined && sameBytes(stampOf(stored.value), stamp) && this.#remove(key);
  }

  acquire(key: string, token: string, ttl: number, seen: Uint8Array | undefined, takeOver: boolean): LeaseAnswer {
    const head = this.head();
    if (!takeOver) {
      const stored = this.#entry(key);
      if (stored !== undefined && isEntry(stored.value) && stored.value[FLAG] !== 1) {
        if (seen === undefined || !sameBytes(stampOf(stored.value), seen)) {
          return { state: "filled", value: stored.value.slice(), head };
        }
      }
      const lease = this.#lease(key);
      if (lease !== undefined && lease.token !== token) {
        return { state: "held", remaining: lease.expiresAt - this.#clock.now(), head };
      }
    }
    this.#leases.set(key, { token, expiresAt: this.#clock.now() + ttl });
    return { state: "won", fence: this.#nextFence(), head };
  }

  renew(key: string, token: string, ttl: number): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#leases.set(key, { token, expiresAt: this.#clock.now() + ttl });
    return true;
  }

  fill(key: string, token: string, value: Uint8Array, ttl: number): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#entries.set(key, { value, expiresAt: this.#clock.now() + ttl });
    return this.release(key, token);
  }

  commit(key: string, token: string, value: Uint8Array, ttl: number, origin: string): Head | undefined {
    if (this.#lease(key)?.token !== token) return undefined;
    const head = this.#append([{ kind: "key", key }], false, origin);
    this.fill(key, token, value, ttl);
    return head;
  }

  release(key: string, token: string): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#leases.delete(key);
    this.#publish({ type: "settled", key });
    return true;
  }

  head(): Head {
    if (this.#head === undefined) {
      const start = this.#nextPosition();
      this.#head = { position: start, control: start, floor: start };
    }
    return this.#head;
  }

  since(
    position: number,
    limit: number,
  ): { records: readonly LogRecord[] | undefined; head: Head; oldest?: number | undefined } {
    const head = this.head();
    if (position === head.position) return { records: [], head };
    const from = this.#log.findIndex((record) => record.position > position);
    const reaches = from !== -1 && this.#log[from]?.previous === position;
    return reaches
      ? { records: this.#log.slice(from, from + limit), head }
      : { records: undefined, head, oldest: this.#log[0]?.previous };
  }

  #append(marks: readonly Mark[], soft: boolean, origin: string): Head {
    const { position: previous, control, floor } = this.head();
    const position = this.#nextPosition();
    const record: LogRecord = { position, previous, origin, soft, marks };
    this.#log.push(record);
    if (this.#log.length > this.#bounds.logLength) this.#log.shift();
    for (const mark of marks) {
      if (mark.kind === "key") continue;
      const moved = isRule(mark) ? this.#rules : this.#marks;
      moved.delete(nameOf(mark, soft));
      moved.set(nameOf(mark, soft), { mark, soft, position });
    }
    this.#head = {
      position,
      control: marks.some((mark) => mark.kind !== "key") ? position : control,
      floor: Math.max(
        floor,
        dropOldest(this.#marks, this.#bounds.maxMarks),
        dropOldest(this.#rules, this.#bounds.maxRules),
      ),
    };
    this.#publish({ type: "record", record });
    return this.#head;
  }

  #nextPosition(): number {
    this.#lastPosition = Math.max(Math.floor(this.#clock.wall() * 1_000), this.#lastPosition + 1);
    return this.#lastPosition;
  }

  #flagStale(key: string): boolean {
    const stored = this.#entry(key);
    if (stored === undefined || !isEntry(stored.value)) return false;
    stored.value[FLAG] = 1;
    return true;
  }

  #remove(key: string): boolean {
    const found = this.#entry(key) !== undefined;
    this.#entries.delete(key);
    return found;
  }

  #entry(key: string): Stored | undefined {
    return live(this.#entries, key, this.#clock.now());
  }

  #lease(key: string): Lease | undefined {
    return live(this.#leases, key, this.#clock.now());
  }
}

function live<T extends { readonly expiresAt: number }>(map: Map<string, T>, key: string, now: number): T | undefined {
  const item = map.get(key);
  if (item === undefined || now < item.expiresAt) return item;
  map.delete(key);
  return undefined;
}

/**
 * Drops what is past the limit; the newest position dropped, 0 for none. A mark at or below it says nothing any more, so
 * all of one record go together.
 */
function dropOldest(moved: Map<string, Moved>, limit: number): number {
  let dropped = 0;
  for (const [name, { position }] of moved) {
    if (moved.size <= limit && position > dropped) break;
    moved.delete(name);
    dropped = position;
  }
  return dropped;
}

function isRule(mark: Mark): boolean {
  return mark.kind === "pattern" || mark.kind === "tags";
}

function nameOf(mark: Mark, soft: boolean): string {
  return JSON.stringify([soft, mark.kind, targetOf(mark)]);
}

function targetOf(mark: Mark): string | readonly string[] {
  switch (mark.kind) {
    case "key":
      return mark.key;
    case "tag":
      return mark.tag;
    case "tags":
      return mark.tags;
    case "prefix":
      return mark.prefix;
    case "pattern":
      return mark.pattern;
    case "all":
      return "";
  }
}

function isEntry(value: Uint8Array): boolean {
  return value.length >= STAMP_END;
}

function stampOf(value: Uint8Array): Uint8Array {
  return value.subarray(STAMP, STAMP_END);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

import type { Clock } from "../clock.js";
import type { Head, LogRecord, Mark } from "../invalidation/record.js";
import type { LeaseAnswer, Listing, ListStep, LogSignal, SharedPut, SharedRead } from "../tiers/shared.js";

export interface RoomBounds {
  readonly logLength: number;
  readonly maxMarks: number;
  readonly maxRules: number;
  /** Changes a replica may lag behind. */
  readonly replicaLag: number;
}

interface Stored {
  readonly value: Uint8Array;
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

/** All of a room, as it was before one change. */
interface Snapshot {
  /** When the change was made, on the monotonic clock. */
  readonly at: number;
  readonly entries: ReadonlyMap<string, Stored>;
  readonly leases: ReadonlyMap<string, Lease>;
  readonly marks: ReadonlyMap<string, Moved>;
  readonly rules: ReadonlyMap<string, Moved>;
  readonly log: readonly LogRecord[];
  readonly head: Head | undefined;
  readonly lastPosition: number;
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
  #entries = new Map<string, Stored>();
  #leases = new Map<string, Lease>();
  // Oldest position first: a mark that moves is taken out and put in again.
  #marks = new Map<string, Moved>();
  #rules = new Map<string, Moved>();
  #log: LogRecord[] = [];
  #head: Head | undefined;
  /** Outlives a flush, as a server's clock does: only a failover could give a position twice. */
  #lastPosition = 0;
  /** How far this server's wall clock is ahead of the others', in milliseconds. */
  #skew: number;
  /** What replicas may have, the one that lags most first. */
  #past: Snapshot[] = [];

  constructor(
    clock: Clock,
    bounds: RoomBounds,
    skew: number,
    nextFence: () => number,
    publish: (signal: LogSignal) => void,
  ) {
    this.#clock = clock;
    this.#bounds = bounds;
    this.#skew = skew;
    this.#nextFence = nextFence;
    this.#publish = publish;
  }

  /** A replica that lacks the last `lag` changes takes over; see `SharedMemory.failover`. */
  failover(lag: number, clock: number): number | undefined {
    this.#skew += clock;
    const snapshot = lag > 0 ? this.#past[Math.max(0, this.#past.length - lag)] : undefined;
    if (snapshot === undefined) return undefined;
    this.#past = this.#past.slice(0, Math.max(0, this.#past.length - lag));
    this.#entries = new Map(snapshot.entries);
    this.#leases = new Map(snapshot.leases);
    this.#marks = new Map(snapshot.marks);
    this.#rules = new Map(snapshot.rules);
    this.#log = [...snapshot.log];
    this.#head = snapshot.head;
    this.#lastPosition = snapshot.lastPosition;
    return snapshot.at;
  }

  flush(): void {
    this.#past = [];
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

  list({ beginning, cursor, count }: ListStep): Listing {
    const keys = [...this.#entries.keys()].sort();
    const from = cursor === undefined ? 0 : keys.findIndex((key) => key > cursor);
    const step = from === -1 ? [] : keys.slice(from, from + count);
    const isOver = from === -1 || from + count >= keys.length;
    return {
      keys: step.filter((key) => key.startsWith(beginning) && this.#entry(key) !== undefined),
      cursor: isOver ? undefined : step.at(-1),
    };
  }

  put(puts: readonly SharedPut[], origin: string): Head {
    this.#changes();
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
    this.#changes();
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
    if (stored === undefined || !sameBytes(stampOf(stored.value), stamp)) return false;
    this.#changes();
    return this.#remove(key);
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
    this.#changes();
    this.#leases.set(key, { token, expiresAt: this.#clock.now() + ttl });
    return { state: "won", fence: this.#nextFence(), head };
  }

  renew(key: string, token: string, ttl: number): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#changes();
    this.#leases.set(key, { token, expiresAt: this.#clock.now() + ttl });
    return true;
  }

  fill(key: string, token: string, value: Uint8Array, ttl: number): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#changes();
    this.#store(key, value, ttl);
    return true;
  }

  commit(key: string, token: string, value: Uint8Array, ttl: number, origin: string): Head | undefined {
    if (this.#lease(key)?.token !== token) return undefined;
    this.#changes();
    const head = this.#append([{ kind: "key", key }], false, origin);
    this.#store(key, value, ttl);
    return head;
  }

  release(key: string, token: string): boolean {
    if (this.#lease(key)?.token !== token) return false;
    this.#changes();
    this.#endLease(key);
    return true;
  }

  head(): Head {
    if (this.#head === undefined) {
      this.#changes();
      const start = this.#nextPosition("");
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

  /** Something is about to change: replicas may stay at what is now. */
  #changes(): void {
    const { replicaLag } = this.#bounds;
    if (replicaLag === 0) return;
    this.#past.push({
      at: this.#clock.now(),
      entries: new Map(this.#entries),
      leases: new Map(this.#leases),
      marks: new Map(this.#marks),
      rules: new Map(this.#rules),
      log: [...this.#log],
      head: this.#head,
      lastPosition: this.#lastPosition,
    });
    if (this.#past.length > replicaLag) this.#past.shift();
  }

  #store(key: string, value: Uint8Array, ttl: number): void {
    this.#entries.set(key, { value, expiresAt: this.#clock.now() + ttl });
    this.#endLease(key);
  }

  #endLease(key: string): void {
    this.#leases.delete(key);
    this.#publish({ type: "settled", key });
  }

  #append(marks: readonly Mark[], soft: boolean, origin: string): Head {
    const { position: previous, control, floor } = this.head();
    const position = this.#nextPosition(JSON.stringify([soft, marks]));
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

  /** Never the one right after the last; while the clock stands behind, some way on, as the record and the time have it. */
  #nextPosition(record: string): number {
    const time = Math.floor((this.#clock.wall() + this.#skew) * 1_000);
    this.#lastPosition = time > this.#lastPosition + 1 ? time : this.#lastPosition + 2 + digest(`${record}${time}`);
    return this.#lastPosition;
  }

  #flagStale(key: string): boolean {
    const stored = this.#entry(key);
    if (stored === undefined || !isEntry(stored.value)) return false;
    // A copy: what a replica has stays as it was.
    const value = stored.value.slice();
    value[FLAG] = 1;
    this.#entries.set(key, { ...stored, value });
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

/** 12 bits of a text (FNV-1a). */
function digest(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 20;
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

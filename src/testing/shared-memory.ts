import { systemClock, type Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { Mark } from "../invalidation/record.js";
import type { LogSignal, SharedTier, SharedTierFactory, ShardedTierFactory } from "../tiers/shared.js";
import { SharedRoom, type RoomBounds } from "./shared-room.js";

/**
 * One step of a conversation with the "server", to be run once: now, later, in another order, twice or never.
 *
 * - `request`: the server does what was asked, in one atomic step. Dropped: the caller waits for ever, nothing happened.
 *   Twice: a client that sends again.
 * - `reply`: the caller hears. Dropped: it happened, and the caller waits for ever.
 * - `push`: one subscriber hears one signal.
 */
export interface SharedStep {
  readonly kind: "request" | "reply" | "push";
  /** The method, or the signal's type. */
  readonly name: string;
  /** Whose server it is: the index of the shard, 0 where there is one. */
  readonly shard: number;
  run(): void;
}

/** Decides when a step runs; it must not run it before it returns. */
export type Schedule = (step: SharedStep) => void;

export interface SharedMemoryOptions {
  /** @default the machine's */
  clock?: Clock | undefined;
  /** Decides when each step runs, unless a connection has a schedule of its own. @default queueMicrotask */
  schedule?: Schedule | undefined;
  /** Records kept. @default 50000 */
  logLength?: number | undefined;
  /** Tags and prefixes remembered, hard and soft apart. @default 1000000 */
  maxMarks?: number | undefined;
  /** Patterns and tag sets remembered. @default 1000 */
  maxRules?: number | undefined;
  /** The most changes a replica lags behind: how far `failover` can go back. @default 0 */
  replicaLag?: number | undefined;
}

/** How far the clocks of neighbouring shards differ, in milliseconds: positions of two shards say nothing of one another. */
const SHARD_SKEW = 1_000;

/**
 * A shared tier in this process's memory, for tests and simulations: the object is the server, and each tier its
 * factory opens is another process's connection to it. It keeps every promise of the contract by the simplest means,
 * and takes as little as an event loop's turn between a question and its answer.
 */
export class SharedMemory {
  readonly #clock: Clock;
  readonly #schedule: Schedule;
  readonly #bounds: RoomBounds;
  readonly #rooms = new Map<string, { readonly shard: number; readonly room: SharedRoom }>();
  readonly #subscribers = new Set<Subscriber>();
  #lastFence = 0;

  constructor(options: SharedMemoryOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#schedule = options.schedule ?? ((step) => queueMicrotask(() => step.run()));
    this.#bounds = {
      logLength: options.logLength ?? 50_000,
      maxMarks: options.maxMarks ?? 1_000_000,
      maxRules: options.maxRules ?? 1_000,
      replicaLag: options.replicaLag ?? 0,
    };
  }

  /** Connections to one server. @param schedule decides when their steps run. @default the server's */
  factory(schedule: Schedule = this.#schedule): SharedTierFactory {
    return { kind: "memory-shared", open: (cacheName) => this.#open({ cacheName, shard: 0, shards: 1, schedule }) };
  }

  /** Connections to as many servers as there are shards, each with a log of its own; a key's hash says which holds it. */
  shardedFactory(shards: number, schedule: Schedule = this.#schedule): ShardedTierFactory {
    return {
      kind: "memory-shared",
      openShards: (cacheName) => {
        const opened = Array.from({ length: shards }, (_, shard) => this.#open({ cacheName, shard, shards, schedule }));
        return {
          kind: "memory-shared",
          shards: opened,
          shardOf: (key) => hashOf(key) % shards,
          close: async () => {
            await Promise.all(opened.map((tier) => tier.close()));
          },
        };
      },
    };
  }

  /**
   * Restarts empty: entries, leases and log are gone, and the next use begins a generation. Connections stay.
   *
   * @param shard the one server that does. @default all
   */
  flush(shard?: number): void {
    for (const room of this.#of(shard)) room.flush();
  }

  /** Forgets the oldest records of every cache's log, all but the newest `keep`. @param shard of that one server. @default all */
  trimLog(keep: number = 0, shard?: number): void {
    for (const room of this.#of(shard)) room.trimLog(keep);
  }

  /**
   * A replica that lacks the last `lag` changes takes over: entries, leases, marks and log go back to what they were, and
   * positions that were given out come again, or are passed. `replicaLag` bounds how far. Connections stay.
   *
   * @returns when the oldest change that is lost was made, on the monotonic clock; `undefined` when none is.
   */
  failover(
    lag: number,
    {
      shard,
      clock = 0,
    }: {
      /** The one server that fails. @default all */
      readonly shard?: number | undefined;
      /** How far the replica's wall clock is ahead of the old server's, in milliseconds. @default 0 */
      readonly clock?: number | undefined;
    } = {},
  ): number | undefined {
    const lost = this.#of(shard).flatMap((room) => room.failover(lag, clock) ?? []);
    return lost.length === 0 ? undefined : Math.min(...lost);
  }

  #of(shard: number | undefined): SharedRoom[] {
    const all = [...this.#rooms.values()];
    return all.filter((one) => shard === undefined || one.shard === shard).map(({ room }) => room);
  }

  #room(name: string, shard: number): SharedRoom {
    const known = this.#rooms.get(name);
    if (known !== undefined) return known.room;
    const room = new SharedRoom(
      this.#clock,
      this.#bounds,
      shard * SHARD_SKEW,
      () => this.#nextFence(),
      (signal) => this.#publish(name, signal),
    );
    this.#rooms.set(name, { shard, room });
    return room;
  }

  #nextFence(): number {
    this.#lastFence = Math.max(Math.floor(this.#clock.wall() * 1_000), this.#lastFence + 1);
    return this.#lastFence;
  }

  #publish(room: string, signal: LogSignal): void {
    for (const subscriber of this.#subscribers) if (subscriber.room === room) this.#push(subscriber, signal);
  }

  #push(subscriber: Subscriber, signal: LogSignal): void {
    const { schedule, shard } = subscriber;
    schedule({
      kind: "push",
      name: signal.type,
      shard,
      run: () => {
        if (this.#subscribers.has(subscriber)) subscriber.listener(signal);
      },
    });
  }

  /** Asks, has it done and answers, each when the schedule says so. */
  #ask<T>({ shard, schedule }: Connection, name: string, act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        let answer: () => void;
        try {
          const value = act();
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error);
        }
        schedule({ kind: "reply", name, shard, run: answer });
      };
      schedule({ kind: "request", name, shard, run });
    });
  }

  #open(connection: Connection): SharedTier {
    const { cacheName, shard, shards, schedule } = connection;
    const roomName = JSON.stringify([cacheName, shards, shard]);
    const room = this.#room(roomName, shard);
    const ask = <T>(name: string, act: () => T): Promise<T> => this.#ask(connection, name, act);
    const mine = new Set<Subscriber>();
    let closed = false;
    // What is handed over is taken at the call: the caller may change it while the request is on its way.
    return {
      kind: "memory-shared",
      store: {
        read: (keys) => {
          const asked = [...keys];
          return ask("read", () => room.read(asked));
        },
        put: (entries, origin) => {
          const taken = entries.map((entry) => ({ ...entry, value: entry.value.slice() }));
          return ask("put", () => room.put(taken, origin));
        },
        invalidate: (marks, soft, origin) => {
          const taken = copyOf(marks);
          return ask("invalidate", () => room.invalidate(taken, soft, origin));
        },
        marks: (marks) => {
          const taken = copyOf(marks);
          return ask("marks", () => room.positionsOf(taken));
        },
        rules: () => ask("rules", () => room.listRules()),
        discard: (key, stamp) => {
          const taken = stamp.slice();
          return ask("discard", () => room.discard(key, taken));
        },
        list: (step) => ask("list", () => room.list(step)),
      },
      leases: {
        acquire: (key, { token, ttl, seen, takeOver }) => {
          const taken = seen?.slice();
          return ask("acquire", () => room.acquire(key, token, ttl, taken, takeOver === true));
        },
        renew: (key, token, ttl) => ask("renew", () => room.renew(key, token, ttl)),
        fill: (key, token, value, ttl) => {
          const taken = value.slice();
          return ask("fill", () => room.fill(key, token, taken, ttl));
        },
        commit: (key, token, value, ttl, origin) => {
          const taken = value.slice();
          return ask("commit", () => room.commit(key, token, taken, ttl, origin));
        },
        release: (key, token) => ask("release", () => room.release(key, token)),
      },
      log: {
        head: () => ask("head", () => room.head()),
        since: (position, limit) => ask("since", () => room.since(position, limit)),
        subscribe: async (listener) => {
          const subscriber = { room: roomName, shard, schedule, listener };
          await ask("subscribe", () => {
            if (closed) throw new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed");
            mine.add(subscriber);
            this.#subscribers.add(subscriber);
            this.#push(subscriber, { type: "up" });
          });
          return async () => {
            mine.delete(subscriber);
            this.#subscribers.delete(subscriber);
          };
        },
      },
      close: async () => {
        closed = true;
        for (const subscriber of mine) this.#subscribers.delete(subscriber);
      },
    };
  }
}

/** What a tier that is opened is a connection to, and when its steps run. */
interface Connection {
  readonly cacheName: string;
  readonly shard: number;
  readonly shards: number;
  readonly schedule: Schedule;
}

interface Subscriber {
  readonly room: string;
  readonly shard: number;
  readonly schedule: Schedule;
  readonly listener: (signal: LogSignal) => void;
}

function copyOf(marks: readonly Mark[]): Mark[] {
  return marks.map((mark) => (mark.kind === "tags" ? { kind: "tags", tags: [...mark.tags] } : { ...mark }));
}

/** FNV-1a over UTF-16 units, its bits mixed once more: few shards look at few of them. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

import { systemClock, type Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { Mark } from "../invalidation/record.js";
import type { LogSignal, SharedTier, SharedTierFactory } from "../tiers/shared.js";
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
  run(): void;
}

export interface SharedMemoryOptions {
  /** @default the machine's */
  clock?: Clock | undefined;
  /** Decides when each step runs; it must not run it before it returns. @default queueMicrotask */
  schedule?: ((step: SharedStep) => void) | undefined;
  /** Records kept. @default 50000 */
  logLength?: number | undefined;
  /** Tags and prefixes remembered, hard and soft apart. @default 1000000 */
  maxMarks?: number | undefined;
  /** Patterns and tag sets remembered. @default 1000 */
  maxRules?: number | undefined;
}

/**
 * A shared tier in this process's memory, for tests and simulations: the object is the server, and each tier its
 * factory opens is another process's connection to it. It keeps every promise of the contract by the simplest means,
 * and takes as little as an event loop's turn between a question and its answer.
 */
export class SharedMemory {
  readonly #clock: Clock;
  readonly #schedule: (step: SharedStep) => void;
  readonly #bounds: RoomBounds;
  readonly #rooms = new Map<string, SharedRoom>();
  readonly #subscribers = new Set<Subscriber>();
  #lastFence = 0;

  constructor(options: SharedMemoryOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#schedule = options.schedule ?? ((step) => queueMicrotask(() => step.run()));
    this.#bounds = {
      logLength: options.logLength ?? 50_000,
      maxMarks: options.maxMarks ?? 1_000_000,
      maxRules: options.maxRules ?? 1_000,
    };
  }

  factory(): SharedTierFactory {
    return { kind: "memory-shared", open: (cacheName) => this.#open(cacheName) };
  }

  /** Restarts empty: entries, leases and log are gone, and the next use begins a generation. Connections stay. */
  flush(): void {
    for (const room of this.#rooms.values()) room.flush();
  }

  /** Forgets the oldest records of every cache's log, all but the newest `keep`. */
  trimLog(keep: number = 0): void {
    for (const room of this.#rooms.values()) room.trimLog(keep);
  }

  #room(cacheName: string): SharedRoom {
    let room = this.#rooms.get(cacheName);
    if (room === undefined) {
      room = new SharedRoom(
        this.#clock,
        this.#bounds,
        () => this.#nextFence(),
        (signal) => this.#publish(cacheName, signal),
      );
      this.#rooms.set(cacheName, room);
    }
    return room;
  }

  #nextFence(): number {
    this.#lastFence = Math.max(Math.floor(this.#clock.wall() * 1_000), this.#lastFence + 1);
    return this.#lastFence;
  }

  #publish(cacheName: string, signal: LogSignal): void {
    for (const subscriber of this.#subscribers) if (subscriber.cacheName === cacheName) this.#push(subscriber, signal);
  }

  #push(subscriber: Subscriber, signal: LogSignal): void {
    this.#schedule({
      kind: "push",
      name: signal.type,
      run: () => {
        if (this.#subscribers.has(subscriber)) subscriber.listener(signal);
      },
    });
  }

  /** Asks, has it done and answers, each when the schedule says so. */
  #ask<T>(name: string, act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        let answer: () => void;
        try {
          const value = act();
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error);
        }
        this.#schedule({ kind: "reply", name, run: answer });
      };
      this.#schedule({ kind: "request", name, run });
    });
  }

  #open(cacheName: string): SharedTier {
    const room = this.#room(cacheName);
    const ask = <T>(name: string, act: () => T): Promise<T> => this.#ask(name, act);
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
          const subscriber = { cacheName, listener };
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

interface Subscriber {
  readonly cacheName: string;
  readonly listener: (signal: LogSignal) => void;
}

function copyOf(marks: readonly Mark[]): Mark[] {
  return marks.map((mark) => (mark.kind === "tags" ? { kind: "tags", tags: [...mark.tags] } : { ...mark }));
}

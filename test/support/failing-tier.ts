import { afterEach, beforeEach, expect } from "vitest";

import type { Cache } from "../../src/index.js";
import type { FakeClock } from "../../src/testing/index.js";
import { processes, type Processes } from "./processes.js";

/** What the defaults say: an answer is waited for so long, so many failures open the breaker, for so long. */
export const TIMEOUT = 250;
export const FAILURES = 5;
export const COOLDOWN = 1_000;
export const HEARTBEAT = 500;
/** A write is waited for four times as long as a read. */
export const PATIENCE: number = 4 * TIMEOUT;

export interface FailingTier extends Processes {
  readonly a: Cache;
  readonly b: Cache;
  /** Disturbs the connection of `a`. */
  readonly line: Processes["connections"][number];
}

/**
 * How the tests of a file start their processes. After each test they are closed, and a rejection that nobody has
 * handled fails it.
 */
export function failingTier(): (...args: Parameters<typeof processes>) => Promise<FailingTier> {
  const running: Processes[] = [];
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => {
    unhandled.push(reason);
  };
  beforeEach(() => {
    unhandled.length = 0;
    process.on("unhandledRejection", onUnhandled);
  });
  afterEach(async () => {
    for (const one of running.splice(0)) await one.close();
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", onUnhandled);
    expect(unhandled).toEqual([]);
  });
  return async (...args) => {
    const started = await processes(...args);
    running.push(started);
    const [a, b] = started.caches;
    return { ...started, a: a as Cache, b: (b ?? a) as Cache, line: started.connections[0] as FailingTier["line"] };
  };
}

export interface Timed<T> {
  readonly value?: T;
  readonly error?: unknown;
  /** Milliseconds it took. */
  readonly took: number;
}

/** How a promise ends, and after how long. Never rejects. */
export async function timed<T>(clock: FakeClock, promise: Promise<T>): Promise<Timed<T>> {
  const began = clock.now();
  try {
    return { value: await promise, took: clock.now() - began };
  } catch (error) {
    return { error, took: clock.now() - began };
  }
}

/** Puts the breaker where a few failures have put it. */
export async function openBreaker({ a, clock, line }: FailingTier): Promise<void> {
  line.fail();
  while (a.stats().shared?.up === true) {
    await a.get("breaker");
    await clock.advance(0);
  }
}

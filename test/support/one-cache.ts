import { afterEach, expect } from "vitest";

import type { Cache } from "../../src/index.js";
import type { CacheOptions } from "../../src/options.js";
import type { FakeClock } from "../../src/testing/index.js";
import { alone } from "./processes.js";

/** Longer than `close` waits for loads. */
const PATIENCE = 10_000;

/**
 * Starts caches without a shared tier, and closes them after each test of the file: then no timer may be left and
 * no place at the load gate be taken.
 */
export function oneCache(): (options?: CacheOptions) => { cache: Cache; clock: FakeClock } {
  let started: { cache: Cache; clock: FakeClock }[] = [];
  afterEach(async () => {
    const open = started;
    started = [];
    for (const { cache, clock } of open) {
      const closing = cache.close();
      await clock.advance(PATIENCE);
      await closing;
      expect(cache.stats().gate).toEqual({ active: 0, queued: 0 });
      expect(clock.pending).toBe(0);
    }
  });
  return (options) => {
    const one = alone(options);
    started.push(one);
    return one;
  };
}

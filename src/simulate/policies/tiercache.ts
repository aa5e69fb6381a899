import type { Clock, Timer } from "../../clock.js";
import { createMemoryTier } from "../../tiers/memory/create-memory-tier.js";
import { MOST_ENTRIES } from "../../tiers/memory/limits.js";
import { seededRandom } from "../mix.js";
import type { SimulatedCache } from "../simulated-cache.js";

/** More bytes than any trace has. */
const ANY_BYTES = 2 ** 50;

const NO_TIMER: Timer = { cancel: () => undefined };

/** The trace's time: nothing rings, because the tier looks at what is due whenever it stores something. */
class TraceClock implements Clock {
  time = 0;

  now(): number {
    return this.time;
  }

  recent(): number {
    return this.time;
  }

  wall(): number {
    return this.time;
  }

  after(): Timer {
    return NO_TIMER;
  }
}

/**
 * The memory tier of this package as it runs in production, with its default policy and the given chance.
 *
 * @param capacity entries when `isBytes` is false.
 */
export function createTiercache(capacity: number, isBytes: boolean, seed: number): SimulatedCache {
  const clock = new TraceClock();
  const tier = createMemoryTier<true>({
    maxEntries: isBytes ? MOST_ENTRIES : Math.min(capacity, MOST_ENTRIES),
    maxBytes: isBytes ? capacity : ANY_BYTES,
    maxEntryBytes: isBytes ? capacity : ANY_BYTES,
    clock,
    random: seededRandom(seed),
  });
  const set = (id: number, weight: number, now: number, deadline: number): void => {
    clock.time = now;
    tier.set(String(id), true, weight, deadline);
  };
  return {
    get(id, weight, now, deadline) {
      clock.time = now;
      if (tier.get(String(id), now) !== undefined) return true;
      set(id, weight, now, deadline);
      return false;
    },
    set,
    delete(id, now) {
      clock.time = now;
      tier.delete(String(id));
    },
  };
}

import { createCache, memory, type Cache } from "../../src/index.js";
import type { CacheOptions } from "../../src/options.js";
import { chaos, FakeClock, SharedMemory, type Chaos, type SharedStep } from "../../src/testing/index.js";

/** Some caches on one shared tier, each as another process would have it, on one clock. */
export interface Processes {
  readonly clock: FakeClock;
  readonly server: SharedMemory;
  readonly caches: readonly Cache[];
  /** Of each process, what disturbs its connection. */
  readonly connections: readonly Chaos[];
  /** Lets everything that needs no time happen. */
  readonly settle: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Jitter is off and chance is ½, so that times in tests are exact. */
export async function processes(
  count: number,
  options: CacheOptions = {},
  server: {
    schedule?: (step: SharedStep) => void;
    logLength?: number;
    /** What is wrong with every connection before its cache is made. */
    disturb?: (connection: Chaos, clock: FakeClock) => void;
  } = {},
): Promise<Processes> {
  const clock = new FakeClock();
  const { disturb, ...sharedOptions } = server;
  const shared = new SharedMemory({ clock, ...sharedOptions });
  const connections = Array.from({ length: count }, () => chaos(shared.factory()));
  for (const connection of connections) disturb?.(connection, clock);
  const caches = connections.map((connection) =>
    createCache({
      name: "test",
      tiers: [memory(), connection.factory],
      clock,
      jitter: 0,
      random: () => 0.5,
      ...options,
    }),
  );
  const settle = (): Promise<void> => clock.advance(0);
  await settle();
  return {
    clock,
    server: shared,
    caches,
    connections,
    settle,
    async close() {
      for (const connection of connections) connection.heal();
      const closing = Promise.all(caches.map((cache) => cache.close()));
      await clock.advance(10_000);
      await closing;
    },
  };
}

/** One cache without a shared tier. */
export function alone(options: CacheOptions = {}): { cache: Cache; clock: FakeClock } {
  const clock = new FakeClock();
  return { clock, cache: createCache({ clock, jitter: 0, random: () => 0.5, ...options }) };
}

import { createCache, type Cache } from "../../src/index.js";
import type { CacheOptions } from "../../src/options.js";
import { chaos, FakeClock, SharedMemory, type Chaos, type SharedStep } from "../../src/testing/index.js";
import { cachesOn, closeHealed } from "./caches-on.js";

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

export async function processes(
  count: number,
  options: CacheOptions = {},
  server: {
    schedule?: (step: SharedStep) => void;
    logLength?: number;
    replicaLag?: number;
    /** What is wrong with every connection before its cache is made. */
    disturb?: (connection: Chaos, clock: FakeClock) => void;
  } = {},
): Promise<Processes> {
  const clock = new FakeClock();
  const { disturb, ...sharedOptions } = server;
  const shared = new SharedMemory({ clock, ...sharedOptions });
  const connections = Array.from({ length: count }, () => chaos(shared.factory()));
  for (const connection of connections) disturb?.(connection, clock);
  const caches = cachesOn(connections, clock, options);
  const settle = (): Promise<void> => clock.advance(0);
  await settle();
  return {
    clock,
    server: shared,
    caches,
    connections,
    settle,
    close: () => closeHealed(caches, connections, clock),
  };
}

/** One cache without a shared tier. */
export function alone(options: CacheOptions = {}): { cache: Cache; clock: FakeClock } {
  const clock = new FakeClock();
  return { clock, cache: createCache({ clock, jitter: 0, random: () => 0.5, ...options }) };
}

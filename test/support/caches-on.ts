import { createCache, memory, type Cache, type TierFactory } from "../../src/index.js";
import type { CacheOptions } from "../../src/options.js";
import type { Disturbances, FakeClock } from "../../src/testing/index.js";

/** A cache for each connection, on one clock; jitter is off and chance is ½, so that times in tests are exact. */
export function cachesOn(
  connections: readonly { readonly factory: TierFactory }[],
  clock: FakeClock,
  options: CacheOptions,
): Cache[] {
  return connections.map(({ factory }) =>
    createCache({
      name: "test",
      tiers: [memory(), factory],
      clock,
      jitter: 0,
      random: () => 0.5,
      ...options,
    }),
  );
}

/** Closes the caches, whatever was done to their connections. */
export async function closeHealed(
  caches: readonly Cache[],
  connections: readonly Pick<Disturbances, "heal">[],
  clock: FakeClock,
): Promise<void> {
  for (const connection of connections) connection.heal();
  const closing = Promise.all(caches.map((cache) => cache.close()));
  await clock.advance(10_000);
  await closing;
}

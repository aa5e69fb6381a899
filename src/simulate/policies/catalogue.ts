import { createSimulatedCache, type SimulatedCache } from "../simulated-cache.js";
import { createArc } from "./arc.js";
import { createFifo } from "./fifo.js";
import { createLfu } from "./lfu.js";
import { createLru } from "./lru.js";
import type { OnlinePolicy } from "./names.js";
import type { SimulatedPolicy } from "./policy.js";
import { createS3Fifo } from "./s3-fifo.js";
import { createSieve } from "./sieve.js";
import { createTiercache } from "./tiercache.js";
import { createTwoQueue } from "./two-queue.js";
import { createWTinyLfu } from "./w-tiny-lfu.js";

const SIMULATED: Readonly<Record<Exclude<OnlinePolicy, "tiercache">, (capacity: number) => SimulatedPolicy>> = {
  fifo: createFifo,
  lru: createLru,
  lfu: createLfu,
  "2q": createTwoQueue,
  arc: createArc,
  sieve: createSieve,
  s3fifo: createS3Fifo,
  wtinylfu: createWTinyLfu,
};

/** How much a simulated cache holds. */
export interface Capacity {
  /** Entries, or bytes: an integer of 1 or more. */
  readonly amount: number;
  readonly isBytes: boolean;
}

/** A cache with one of the policies. The seed matters to those that use chance. */
export function createCacheOf(policy: OnlinePolicy, { amount, isBytes }: Capacity, seed: number): SimulatedCache {
  if (policy === "tiercache") return createTiercache(amount, isBytes, seed);
  return createSimulatedCache(SIMULATED[policy](amount));
}

/** The simulated policy by itself; not the production tier, which is a cache already. */
export function createPolicy(policy: Exclude<OnlinePolicy, "tiercache">, capacity: number): SimulatedPolicy {
  return SIMULATED[policy](capacity);
}

import { createCache, type Cache } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import { contact, type Contact } from "../core/workload.js";
import type { NodeRedis } from "../core/rooms.js";

export const POPULATION = 2_000;
export const BYTES = 300;

export const KEYS: readonly string[] = Array.from({ length: POPULATION }, (_, id) => `acme:contact:${id}`);

export function row(id: number): Contact {
  return contact(id, BYTES);
}

/** A cache whose only tier is Redis. */
export function cacheOn(client: NodeRedis, name: string = "bench"): Cache {
  return createCache({ name, tiers: [redis(client)], ttl: "1h" });
}

/** Runs `operations` of them, so many at a time. */
export async function byTurns(operations: number, concurrency: number, one: () => Promise<unknown>): Promise<void> {
  for (let left = operations; left > 0; left -= concurrency) {
    await Promise.all(Array.from({ length: Math.min(concurrency, left) }, one));
  }
}

/** The keys one after the other, for ever. */
export function cycle(): () => string {
  let at = 0;
  return () => {
    at = (at + 1) % POPULATION;
    return KEYS[at] as string;
  };
}

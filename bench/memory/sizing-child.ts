import { parseArgs } from "node:util";

import { createCache, memory, type Cache } from "../../src/index.js";
import { heapBytes } from "./heap.js";
import { SHAPES, type Shape } from "./shapes.js";

/*
 * Fills the memory of one cache with values of one shape until entries leave, and prints what the heap has grown by, as
 * JSON. Its own process, with --expose-gc, so that nothing else is on the heap.
 */

const { values } = parseArgs({
  options: {
    shape: { type: "string" },
    bytes: { type: "string" },
    isolation: { type: "string" },
    tags: { type: "string" },
  },
});
const shape = SHAPES[values.shape ?? ""] as Shape;
const maxBytes = Number(values.bytes);
const isolation = values.isolation === "none" ? "none" : "freeze";
const options = values.tags === undefined ? {} : { tags: [values.tags] };

// First without weighing, so that compiled code is not weighed with the entries.
await fill(cacheOf(maxBytes / 16)).then((cache) => cache.close());
const before = heapBytes();
const started = process.cpuUsage();
const cache = await fill(cacheOf(maxBytes));
const { user, system } = process.cpuUsage(started);
const heap = heapBytes() - before;
const { entries = 0, bytes = 0, evicted = 0 } = cache.stats().memory ?? {};
console.log(JSON.stringify({ heap, entries, bytes, micros: (user + system) / (entries + evicted) }));
await cache.close();

function cacheOf(maxBytes: number): Cache {
  return createCache({ name: "bench", tiers: [memory({ maxBytes })], ttl: "1h", isolation });
}

/** Until as many have left as are there: a cache in use, its index grown by what came and went. */
async function fill(cache: Cache): Promise<Cache> {
  for (let i = 0; ; i += 1) {
    await cache.set(`contact:${i}`, shape(i), options);
    if (i % 64 !== 0) continue;
    const { entries = 0, evicted = 0, refused = 0 } = cache.stats().memory ?? {};
    if (evicted + refused > entries) return cache;
  }
}

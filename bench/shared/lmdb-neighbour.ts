import { createCache } from "../../src/index.js";
import { lmdb } from "../../src/lmdb/index.js";
import { KEYS, row } from "./rows.js";

/* Another process of the machine, until it is killed: four reads and a write by turns. */

const path = process.argv[2] ?? "";
const cache = createCache({ name: "bench", tiers: [lmdb({ path })], ttl: "1h" });
await cache.get(KEYS[0] as string);
console.log("works");
for (let at = 0; process.ppid !== 1; at = (at + 1) % KEYS.length) {
  const key = KEYS[at] as string;
  if (at % 5 === 0) await cache.set(key, row(at));
  else await cache.get(key);
  if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
}

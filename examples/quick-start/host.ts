import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCache, memory } from "tiercache";
import { lmdb } from "tiercache/lmdb";

// The worker processes of one machine share this file: one load between them, and one invalidation.
const path = join(process.env["CACHE_DIRECTORY"] ?? tmpdir(), "shop-cache");
const cache = createCache({ name: "shop", tiers: [memory(), lmdb({ path, maxBytes: "256mb" })], ttl: "10m" });

console.log(await cache.getOrLoad("price:42", () => ({ cents: 999 })));
await cache.close(); // the next process that starts finds it warm

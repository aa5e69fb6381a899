import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCache, memory } from "tiercache";
import { lmdb } from "tiercache/lmdb";

const path = await mkdtemp(join(tmpdir(), "tiercache-example-"));

// Two caches stand for two processes of one machine; with redis(client) in place of lmdb, for two machines.
const open = () => createCache({ name: "shop", tiers: [memory({ maxBytes: "8mb" }), lmdb({ path })] });
const [one, two] = [open(), open()];

let loads = 0;
const price = () => ({ cents: 999, load: (loads += 1) });
await Promise.all([one.getOrLoad("price:1", price), two.getOrLoad("price:1", price)]);
console.log("two processes:", loads, "load");

for (const { tier, state } of (await two.explain("price:1")).tiers) console.log(`${tier}: ${state}`);

await one.invalidate({ key: "price:1" });
// The other process hears of it a moment later; a strict read does not wait for that.
console.log("the other process:", await two.getOrLoad("price:1", price, { strict: true }));

await Promise.all([one.close(), two.close()]);
await rm(path, { recursive: true });

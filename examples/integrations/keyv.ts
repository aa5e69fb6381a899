import Keyv from "keyv";
import { createCache, memory } from "tiercache";
import { keyvStore } from "tiercache/keyv";

const cache = createCache({ tiers: [memory()] });
// One store for each Keyv.
const keyv = new Keyv({ store: keyvStore(cache), namespace: "sessions" });

await keyv.set("ann", { user: 7 }, 60_000); // milliseconds
console.log(await keyv.get("ann"));

await cache.invalidate({ prefix: ["keyv", "sessions"] });
console.log(await keyv.get("ann"));

await cache.close();

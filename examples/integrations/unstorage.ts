import { createCache, memory } from "tiercache";
import { unstorageDriver } from "tiercache/unstorage";
import { createStorage } from "unstorage";

const cache = createCache({ tiers: [memory()] });
const storage = createStorage({ driver: unstorageDriver(cache, { ttl: "10m" }) });

await storage.setItem("posts:1", { title: "Hello" }, { ttl: 60 }); // seconds
console.log(await storage.getItem("posts/1"), await storage.getKeys("posts"));

await cache.close();

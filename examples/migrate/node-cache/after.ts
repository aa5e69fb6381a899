import { createCache, memory } from "tiercache";

const database = { country: async (code: string) => ({ code, name: code === "de" ? "Germany" : "France" }) };

const cache = createCache({ tiers: [memory({ maxEntries: 1_000 })], ttl: "100s" });

const country = (code: string) => cache.getOrLoad(`country:${code}`, () => database.country(code));

console.log(await country("de"), await country("de"));
await cache.set("rate", 1.1, { ttl: "10s" });
console.log(cache.peek("rate")); // at once, as before; `get` asks every tier
console.log(await cache.getMany(["country:de", "country:xx"]));
console.log(await cache.delete("rate"), await cache.has("rate"));
await cache.invalidate({ all: true });
console.log(await cache.get("country:de"), cache.stats().memory?.entries);
await cache.close();

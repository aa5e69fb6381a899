import { createClient } from "redis";
import { createCache, memory } from "tiercache";
import { redis } from "tiercache/redis";

const client = createClient({ url: process.env["REDIS_URL"] ?? "redis://127.0.0.1:6379" });
client.on("error", () => {}); // a lost Redis is an event of the cache, not a crash
await client.connect();

const cache = createCache({ name: "crm", tiers: [memory({ maxBytes: "64mb" }), redis(client)], ttl: "10m" });

const contacts = cache.entity({
  name: "contact",
  version: 2,
  scope: "tenant",
  load: async (id: number, { scope }) => ({ id, tenant: String(scope), email: "ann@example.com" }),
  tags: (contact) => [`mail:${contact.email}`],
});

console.log(await contacts.in("acme").get(42)); // stored as crm:acme:contact:42:v2
await contacts.in("acme").invalidate(42); // gone from Redis now, from every process's memory a moment later
console.log(await contacts.in("acme").explain(42));

await cache.close();
client.destroy();

import { createCache, memory } from "tiercache";
import { SharedMemory } from "tiercache/testing";

const database = {
  contact: async (id: number) => ({ id, name: "Ann", email: "ann@example.com", phone: "555-0100", passwordHash: "…" }),
};

const cache = createCache({
  name: "crm",
  // In a service `redis(client)`; this one lives in the process.
  tiers: [memory(), new SharedMemory().factory()],
  compression: { algorithm: "brotli", threshold: "4kb" },
  // 32 random bytes: `openssl rand -base64 32`.
  encryption: { keys: [{ id: "2025-02", secret: "Rk5x9m0mYb1m3p3c2o5y2Vf6cT3bE0p6y8yJmZ4sQ1A=" }] },
});

const contacts = cache.entity({
  name: "contact",
  load: (id: number) => database.contact(id),
  sensitive: ["email", "phone", "passwordHash"],
  encrypt: ["email", "phone"],
  exclude: ["passwordHash"],
});

console.log(await contacts.get(7));
await cache.close();

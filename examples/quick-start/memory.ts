import { createCache, key } from "tiercache";

const database = { user: async (id: number) => ({ id, name: "Ann", team: 7 }) };

const cache = createCache({ ttl: "10m", staleWhileRevalidate: "1h" });

// A hundred callers at once are one load.
const user = (id: number) =>
  cache.getOrLoad(key`user:${id}`, async (context) => {
    const row = await database.user(id);
    context.tags(["team", row.team]);
    return row;
  });

console.log(await user(42));
await cache.invalidate({ tag: ["team", 7] });
console.log(cache.stats().total.hitRatio);
await cache.close();

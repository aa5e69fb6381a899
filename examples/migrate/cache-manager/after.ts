import { createCache, key } from "tiercache";

let queries = 0;
const database = {
  user: async (id: number) => {
    queries += 1;
    return { id, name: `User ${id}` };
  },
};

const cache = createCache({ ttl: "1m" });

const user = (id: number) => cache.getOrLoad(key`user:${id}`, () => database.user(id), { ttl: "5m" });

console.log(await Promise.all([user(1), user(1), user(1)]), queries);
console.log(await user(1), queries);

await cache.invalidate({ key: key`user:1` }); // in every process, loads under way included
console.log(await user(1), queries);

await cache.set("rate:usd", 1);
await cache.set("rate:eur", 1.1, { ttl: "10s" });
console.log(await cache.getMany(["rate:usd", "rate:eur", "rate:xyz"]));

await cache.invalidate({ all: true });
console.log(await cache.get("rate:usd"));
await cache.close();

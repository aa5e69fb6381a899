import { createCache } from "cache-manager";

let queries = 0;
const database = {
  user: async (id: number) => {
    queries += 1;
    return { id, name: `User ${id}` };
  },
};

const cache = createCache({ ttl: 60_000 });

const user = (id: number) => cache.wrap(`user:${id}`, () => database.user(id), 300_000);

console.log(await Promise.all([user(1), user(1), user(1)]), queries);
console.log(await user(1), queries);

await cache.del("user:1"); // in this process; others keep what they have
console.log(await user(1), queries);

await cache.mset([
  { key: "rate:usd", value: 1 },
  { key: "rate:eur", value: 1.1, ttl: 10_000 },
]);
console.log(await cache.mget(["rate:usd", "rate:eur", "rate:xyz"]));

await cache.clear();
console.log(await cache.get("rate:usd"));
await cache.disconnect();

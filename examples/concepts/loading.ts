import { setTimeout as pause } from "node:timers/promises";
import { createCache, key } from "tiercache";

let queries = 0;
const database = {
  async price(id: number) {
    queries += 1;
    await pause(20);
    return { id, cents: 999 };
  },
  async prices(ids: readonly number[]) {
    queries += 1;
    return ids.map((id) => ({ id, cents: 999 }));
  },
};

const cache = createCache({ ttl: "10m", hardTimeout: "2s", loads: { concurrency: 32 } });

// A hundred callers, one load.
const price = (id: number) => cache.getOrLoad(key`price:${id}`, () => database.price(id));
await Promise.all(Array.from({ length: 100 }, () => price(1)));
console.log("100 callers:", queries, "query");

// Many keys: the loader is called once, with those that are missing.
const many = await cache.getOrLoadMany(
  [1, 2, 3],
  (id) => key`price:${id}`,
  (missing) => database.prices(missing),
);
console.log(many.length, "prices:", queries, "queries");

// A loader that fails: its own error reaches each caller.
const failing = async () => {
  throw new Error("The database said no");
};
const told = await cache.getOrLoad("price:4", failing).catch((error: Error) => error.message);
console.log(told);

// A caller may be less patient than the load, which goes on for the next.
const slow = () => pause(200, { id: 5, cents: 1 });
const gaveUp = await cache
  .getOrLoad("price:5", slow, { waitTimeout: "10ms" })
  .catch((error: { code: string }) => error.code);
console.log(gaveUp, await cache.getOrLoad("price:5", slow));

await cache.close();

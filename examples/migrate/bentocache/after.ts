import { createCache } from "tiercache";

let down = false;
const database = {
  product: async (id: number) => {
    if (down) throw new Error("the database is down");
    return { id, name: `Product ${id}`, category: id % 2 };
  },
};

const cache = createCache({ name: "shop" });
const products = cache.namespace("products");

const product = (id: number) =>
  products.getOrLoad(String(id), () => database.product(id), {
    ttl: "10m",
    staleIfError: "6h",
    tags: [`category-${id % 2}`],
  });

console.log(await product(1), await product(2));

await products.invalidate({ tag: "category-1" });
console.log(await products.has("1"), await products.has("2"));

await products.expire("2"); // stale from now on, and kept for the worst case
down = true;
console.log(await product(2));
await cache.close();

import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";

let down = false;
const database = {
  product: async (id: number) => {
    if (down) throw new Error("the database is down");
    return { id, name: `Product ${id}`, category: id % 2 };
  },
};

const bento = new BentoCache({
  default: "shop",
  stores: { shop: bentostore().useL1Layer(memoryDriver({ maxItems: 10_000 })) },
});
const products = bento.namespace("products");

const product = (id: number) =>
  products.getOrSet({
    key: String(id),
    ttl: "10m",
    grace: "6h",
    tags: [`category-${id % 2}`],
    factory: () => database.product(id),
  });

console.log(await product(1), await product(2));

await products.deleteByTag({ tags: ["category-1"] });
console.log(await products.has({ key: "1" }), await products.has({ key: "2" }));

await products.expire({ key: "2" }); // stale from now on, and kept for the worst case
down = true;
console.log(await product(2));
await bento.disconnectAll();

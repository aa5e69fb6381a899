import { createCache } from "tiercache";

const cache = createCache({ name: "shop", ttl: "10m" });
const products = cache.entity({
  name: "product",
  load: (id: number) => ({ id, cents: 999 }),
  tags: () => ["catalogue"],
});

const stop = cache.on("invalidated", ({ targets }) => console.log("event:", targets.join(", ")));
await products.get(1);
await products.get(1);
await cache.invalidate({ tag: "catalogue" });
console.log((await products.explain(1)).summary);
await products.get(1);
stop();

const { total, entities } = cache.stats();
console.log("hit ratio", total.hitRatio.toFixed(2), entities["product"]?.missReasons);
await cache.close();

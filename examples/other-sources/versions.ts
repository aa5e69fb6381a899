import { createCache, memory } from "tiercache";
import { SharedMemory } from "tiercache/testing";

interface Order {
  readonly id: number;
  readonly state: string;
  readonly version: number;
}

// A primary, and a replica that is behind it.
let order: Order = { id: 7, state: "new", version: 1 };
let replica = order;

const cache = createCache({ name: "shop", tiers: [memory(), new SharedMemory().factory()], ttl: "5m" });
const orders = cache.entity({
  name: "order",
  load: (_id: number) => replica,
  rowVersion: (row) => row.version,
});
cache.on("refused", ({ key, reason }) => {
  if (reason === "older") console.log(`${key}: an older row is not stored`);
});

order = { ...order, state: "paid", version: 2 };
await orders.set(7, order);
// The replica answers with the row as it was. Its caller gets it; nobody else does.
console.log((await orders.get(7, { forceFresh: true })).state);
console.log((await orders.find(7, { stale: true }))?.state);
// A message that comes late says what the row was once.
await orders.set(7, { ...order, state: "new", version: 1 });
replica = order;
console.log((await orders.get(7)).state);
await cache.close();

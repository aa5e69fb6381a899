import { createCache, memory, type Cache, type Entity } from "tiercache";
import { SharedMemory } from "tiercache/testing";
import { mongoStream } from "./mongo.js";
import { mysqlStream, type Row } from "./mysql.js";
import { MemoryMongo, MemoryMySql } from "./stand-ins.js";
import { streamFeed } from "./stream-feed.js";

// In a service: `new MongoClient(url).db()`, and a pool and a reader of the binary log.
const mongo = new MemoryMongo();
const mysql = new MemoryMySql();

/** Waits until the cache gives what is expected, for no longer than the bound. */
async function within(ms: number, read: () => Promise<unknown>, expected: unknown): Promise<void> {
  const deadline = performance.now() + ms;
  while ((await read()) !== expected) {
    if (performance.now() > deadline) throw new Error(`Not within ${ms} ms: ${String(expected)}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function show(
  cache: Cache,
  items: Entity<number, Row>,
  write: (name: string) => Promise<unknown>,
): Promise<void> {
  // From then on what is cached is believed.
  await within(2_000, async () => Number.isFinite(cache.stats().feed?.completeAgo), true);
  const name = async (): Promise<unknown> => (await items.get(1))["name"];
  await write("first");
  await within(1_000, name, "first");
  // Not through the cache, and nothing is invalidated by hand.
  const writing = write("second");
  await within(1_000, name, "second");
  await writing;
  console.log(await items.get(1));
}

const shop = createCache({
  name: "shop",
  tiers: [memory(), new SharedMemory().factory()],
  feed: streamFeed(
    "mongo",
    mongoStream(mongo, (collection, id) => (collection === "items" ? [{ of: products, ids: [Number(id)] }] : [])),
    2_000,
  ),
});
const products = shop.entity<number, Row>({
  name: "product",
  load: async (id) => (await mongo.collection("items").findOne({ _id: id })) ?? {},
  rowVersion: (product) => product["version"] as number | undefined,
});
await show(shop, products, (name) =>
  mongo.collection("items").updateOne({ _id: 1 }, { $set: { name }, $inc: { version: 1 } }),
);
await shop.close();

const stock = createCache({
  name: "stock",
  tiers: [memory(), new SharedMemory().factory()],
  feed: streamFeed(
    "mysql",
    mysqlStream(mysql, mysql, (table, row) => (table === "items" ? [{ of: items, ids: [Number(row["id"])] }] : [])),
    2_000,
  ),
});
const items = stock.entity<number, Row>({
  name: "item",
  load: async (id) => (await mysql.query("SELECT * FROM items WHERE id = ?", [id]))[0] ?? {},
});
await show(stock, items, (name) =>
  mysql.query("UPDATE items SET name = ?, version = version + 1 WHERE id = ?", [name, 1]),
);
await stock.close();

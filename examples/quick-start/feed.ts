import { createCache } from "tiercache";
import { postgresFeed } from "tiercache/postgres";
import pg from "pg";

const url = process.env["DATABASE_URL"] ?? "postgres://127.0.0.1/shop";
const pool = new pg.Pool({ connectionString: url });

// Without Redis each process has a slot of its own; with it, put tiers here as before.
const feed = postgresFeed({ connect: url, maxStaleness: "2s" });
const cache = createCache({ name: "shop", ttl: "1h", feed });
const prices = cache.entity({
  name: "price",
  load: async (id: number) => (await pool.query("SELECT cents FROM prices WHERE id = $1", [id])).rows[0]?.cents ?? 0,
});
feed.table<{ id: number }>("prices", { entity: prices, id: (row) => row.id });

for (const problem of await feed.ensure()) console.log(problem.message);
await feed.ready();

console.log(await prices.get(42));
await pool.query("UPDATE prices SET cents = 499 WHERE id = 42"); // by whomever: psql, another service
await feed.wait(await feed.token());
console.log(await prices.get(42));

await cache.close();
await pool.end();

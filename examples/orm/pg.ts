import pg from "pg";
import { createCache, memory } from "tiercache";
import { cachedPool, transactional } from "tiercache/postgres";

// With `redis(client)` behind memory, all processes share the answers.
const cache = transactional(createCache({ name: "crm", tiers: [memory()] }));
const pool = cachedPool(new pg.Pool({ connectionString: process.env["DATABASE_URL"] }), { cache });

const team = (id: number) => ({
  text: "SELECT id, name FROM contact WHERE team_id = $1 ORDER BY id",
  values: [id],
  cache: { ttl: "1m", tags: ["contacts"], scope: "acme" },
});

// Sent once; the second is the cache's answer.
const { rows } = await pool.query<{ id: number; name: string }>(team(1));
await pool.query(team(1));
console.log("in the team:", rows.map((row) => row.name).join(", "));

const client = await pool.connect();
await client.query("BEGIN");
await client.query("UPDATE contact SET name = 'Anna' WHERE id = 1");
// From the database: inside a transaction nothing comes from the cache, and nothing goes into it.
console.log("inside:", (await client.query(team(1))).rows[0]?.["name"]);
// Waits for the commit.
await cache.invalidate({ tag: "dashboard" });
await client.query("COMMIT");
client.release();

// The UPDATE named the table, so this is asked anew.
console.log("after:", (await pool.query(team(1))).rows[0]?.["name"]);

await pool.end();
await cache.close();

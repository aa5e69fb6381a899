import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import pg from "pg";
import { createCache, memory } from "tiercache";
import { cachedDrizzle, cachedPool, transactional } from "tiercache/drizzle";

const contact = pgTable("contact", {
  id: integer().primaryKey(),
  teamId: integer("team_id").notNull(),
  name: text().notNull(),
});

const cache = transactional(createCache({ name: "crm", tiers: [memory()] }));
const pool = cachedPool(new pg.Pool({ connectionString: process.env["DATABASE_URL"] }), { cache });
const db = cachedDrizzle(drizzle({ client: pool }));

const team = (id: number) =>
  db.cached(db.select().from(contact).where(eq(contact.teamId, id)).orderBy(contact.id), { ttl: "1m", scope: "acme" });

console.log("in the team:", (await team(1)).map((row) => row.name).join(", "));

await db.transaction(async (transaction) => {
  await transaction.update(contact).set({ name: "Anna" }).where(eq(contact.id, 1));
  // Waits for the commit.
  await cache.invalidate({ tag: "dashboard" });
});

console.log("after:", (await team(1))[0]?.name);

await pool.end();
await cache.close();

import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { createCache, memory } from "tiercache";
import { kyselyCache, transactional } from "tiercache/kysely";

interface Database {
  contact: { id: number; team_id: number; name: string };
}

const cache = transactional(createCache({ name: "crm", tiers: [memory()] }));
const caching = kyselyCache({ cache, scope: () => "acme" });
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"] });
const db = new Kysely<Database>({ dialect: caching.dialect(new PostgresDialect({ pool })) });

const team = (id: number) =>
  db
    .selectFrom("contact")
    .select(["id", "name"])
    .where("team_id", "=", id)
    .orderBy("id")
    .withPlugin(caching.cached({ ttl: "1m" }))
    .execute();

console.log("in the team:", (await team(1)).map((row) => row.name).join(", "));

await db.transaction().execute(async (transaction) => {
  await transaction.updateTable("contact").set({ name: "Anna" }).where("id", "=", 1).execute();
  // Waits for the commit.
  await cache.invalidate({ tag: "dashboard" });
});

console.log("after:", (await team(1))[0]?.name);

await db.destroy();
await cache.close();

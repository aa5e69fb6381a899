import { createCache, memory } from "tiercache";
import { transactional, typeormCache } from "tiercache/typeorm";
import { DataSource, EntitySchema } from "typeorm";

interface Contact {
  id: number;
  teamId: number;
  name: string;
}

const Contact = new EntitySchema<Contact>({
  name: "Contact",
  tableName: "contact",
  columns: {
    id: { type: "int", primary: true },
    teamId: { type: "int", name: "team_id" },
    name: { type: "text" },
  },
});

const cache = transactional(createCache({ name: "crm", tiers: [memory()] }));
const caching = typeormCache({ cache, scope: () => "acme" });
const source = await new DataSource({
  type: "postgres",
  url: process.env["DATABASE_URL"] ?? "",
  entities: [Contact],
  cache: { provider: caching.provider },
}).initialize();

// TypeORM's own option asks for it: 60,000 ms.
const team = (teamId: number) =>
  source.manager.find(Contact, { where: { teamId }, order: { id: "ASC" }, cache: 60_000 });

console.log("in the team:", (await team(1)).map((row) => row.name).join(", "));

await source.transaction(async (manager) => {
  await manager.update(Contact, { id: 1 }, { name: "Anna" });
  // Waits for the commit.
  await cache.invalidate({ tag: "dashboard" });
});

console.log("after:", (await team(1))[0]?.name);

await source.destroy();
await cache.close();

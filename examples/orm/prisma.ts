import { PrismaPg } from "@prisma/adapter-pg";
import { createCache, memory } from "tiercache";
import { prismaCache, transactional } from "tiercache/prisma";
// Where `prisma generate` has put it.
import { PrismaClient } from "../../test/fixtures/prisma/client.js";

const cache = transactional(createCache({ name: "crm", tiers: [memory()] }));
const caching = prismaCache({ cache, scope: () => "acme" });
const adapter = caching.adapter(new PrismaPg({ connectionString: process.env["DATABASE_URL"] ?? "" }));
const prisma = caching.client(new PrismaClient({ adapter }));

const team = (id: number) =>
  caching.cached({ ttl: "1m" }, () =>
    prisma.person.findMany({ where: { teamId: id }, orderBy: { id: "asc" }, include: { team: true } }),
  );

console.log("in the team:", (await team(1)).map((row) => row.name).join(", "));

await prisma.$transaction(async (transaction) => {
  await transaction.person.update({ where: { id: 1 }, data: { name: "Anna" } });
  // Waits for the commit.
  await cache.invalidate({ tag: "dashboard" });
});

console.log("after:", (await team(1))[0]?.name);

await prisma.$disconnect();
await cache.close();

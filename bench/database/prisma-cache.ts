import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { PrismaPg } from "@prisma/adapter-pg";
import { Redis } from "ioredis";
import { PrismaExtensionRedis } from "prisma-extension-redis";

import type * as Generated from "../../test/fixtures/prisma/client.js";
import type { CachedRows } from "./cached-rows.js";

/** An hour, in seconds, as in the other contenders. */
const TTL = 3_600;

/**
 * Rows of the table `person` (its `team_id` is what changes), read and written by Prisma with prisma-extension-redis as its
 * documentation has it: `auto` with `invalidateOnWrite`, or `keys` that the writer uncaches after its write.
 */
export async function prismaRows(url: string, redisUrl: string, how: "auto" | "keys"): Promise<CachedRows> {
  // Generated JavaScript, which the compiler leaves where it is.
  const path = join(process.cwd(), "test/fixtures/prisma/client.js");
  const { PrismaClient } = (await import(pathToFileURL(path).href)) as typeof Generated;
  const redis = new Redis(redisUrl);
  redis.on("error", () => undefined);
  let hits = 0;
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 4 }) }).$extends(
    PrismaExtensionRedis({
      client: redis,
      config: {
        ttl: TTL,
        stale: 0,
        // Debian's Redis has no JSON.
        type: "STRING",
        auto: how === "auto" ? { invalidateOnWrite: true, ttl: TTL, stale: 0 } : false,
        onHit: () => (hits += 1),
        onError: (error: unknown) => {
          throw error;
        },
      },
    }),
  );
  const keyOf = (id: number): string => prisma.getKey({ params: [{ prisma: "Person" }, { id: String(id) }] });
  const select = { id: true, teamId: true } as const;
  return {
    get hits() {
      return hits;
    },
    read: async (id) => {
      const where = { id };
      const cached = how === "auto" ? {} : { cache: { key: keyOf(id), ttl: TTL } };
      const row = (await prisma.person.findUnique({ where, select, ...cached })) as { teamId: number } | null;
      return row === null ? undefined : { id, version: row.teamId };
    },
    bump: async (id) => {
      await prisma.person.update({ where: { id }, data: { teamId: { increment: 1 } }, select });
      if (how === "keys") await prisma.uncache({ uncacheKeys: [keyOf(id)] });
    },
    forget: async () => void (await redis.flushall()),
    close: async () => {
      await prisma.$disconnect();
      redis.disconnect();
    },
  };
}

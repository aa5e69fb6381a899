import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCache, memory, type Cache, type Entity } from "tiercache";
import { lmdb } from "tiercache/lmdb";
import { entityStep, taskStep, warmPlan, type WarmPlanDefinition } from "tiercache/warm";

/** Stands for a database. */
const database = {
  async *userIds(after = 0) {
    for (let id = after + 1; id <= 500; id += 1) yield id;
  },
  users: async (ids: readonly number[]) => ids.map((id) => ({ id, name: `user ${id}` })),
  topOfTheWeek: async () => ["one", "two", "three"],
};

// Warmed into the tier that every process of this host reads; `redis(client)` instead warms for all hosts.
const path = join(process.env["CACHE_DIRECTORY"] ?? tmpdir(), "crm-cache");
export const cache: Cache = createCache({ name: "crm", tiers: [memory(), lmdb({ path })], ttl: "1h" });

export const users: Entity<number, { id: number; name: string }> = cache.entity({
  name: "user",
  loadMany: database.users,
});

export const plan: WarmPlanDefinition = warmPlan({
  name: "start",
  steps: [
    // What the first page needs comes first.
    taskStep("front page", [() => cache.getOrLoad("top", () => database.topOfTheWeek())], { priority: 1 }),
    // Asked to go on behind the last id that was warmed, if a run before this one was killed.
    entityStep(users, (after) => database.userIds(after), { batch: 50, total: 10 }),
  ],
});

import { it } from "vitest";
import { lmdb } from "../../src/lmdb/index.js";
import { lmdbFolder } from "../support/lmdb-folder.js";
import { BOUNDS, expectAnswersOfModel } from "../support/tier-commands.js";

it("answers every sequence of commands as the simplest implementation does", async () => {
  await expectAnswersOfModel(async () => {
    const folder = lmdbFolder();
    const tiers = [0, 1].map(() => lmdb({ path: folder.path, ...BOUNDS }).open("c"));
    return {
      tiers,
      flush: () => folder.clear(),
      async close() {
        await Promise.all(tiers.map((tier) => tier.close()));
        folder.remove();
      },
    };
  }, 100);
}, 60_000);

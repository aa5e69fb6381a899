import { shardTags, slotOf } from "../../../src/redis/slots.js";
import { sleep } from "../harness.js";
import { now, type KeySpace } from "../protocol.js";
import type { Scenario } from "../scenario.js";
import { throughChanges } from "./changes.js";

const SPACE: KeySpace = { groups: 8, ids: 6 };
/** A key at a time: a slot has keys on both sides for a while. */
const STEP_BY_STEP = { batch: 1, during: () => sleep(5) } as const;

/** All shards of one master go to another, slot by slot, and back again. */
export const resharding: Scenario = {
  name: "cluster-resharding",
  unsupported: ({ peer }) => (peer === "tiercache" ? undefined : "its adapter knows one server only"),
  async run(harness, verdict) {
    const cluster = await harness.cluster({ replicas: 0 });
    const shards = harness.sized(16, 6);
    const slots = shardTags(shards).map((tag) => slotOf(`{${tag}}`));
    const owners = await Promise.all(slots.map((slot) => cluster.masterOf(slot)));
    const home = owners[0];
    const other = owners.at(-1);
    if (home === undefined || other === undefined || home === other) throw new Error("One master has all shards");
    const moved = slots.filter((_, at) => owners[at] === home);
    return throughChanges(harness, verdict, {
      servers: cluster,
      space: SPACE,
      settings: { shards },
      rounds: harness.sized(3, 1),
      async change(writeOnce) {
        const from = now();
        const moving = cluster.moveSlots(moved, other, STEP_BY_STEP);
        await Promise.all([moving, writeOnce()]);
        await cluster.moveSlots(moved, home, STEP_BY_STEP);
        return { from, to: now() };
      },
    });
  },
};

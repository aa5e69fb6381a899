import type { RedisServer } from "../../support/redis-server.js";
import { sleep, type Admin, type Harness, type Member } from "../harness.js";
import { olderThan } from "../ledger.js";
import { keysOf, orderOf, type KeySpace } from "../protocol.js";
import type { Scenario } from "../scenario.js";

const SPACE: KeySpace = { groups: 6, ids: 5 };
const WAYS = ["key", "tag", "prefix", "pattern"] as const;

/** Something of Redis's state is lost while two processes write and three read; then another process joins. */
function lostState(
  name: string,
  harm: (at: { harness: Harness; server: RedisServer; admin: Admin; turn: number }) => Promise<void>,
  turns: { readonly full: number; readonly small: number } = { full: 6, small: 2 },
): Scenario {
  return {
    name,
    async run(harness, verdict) {
      const server = await harness.redis();
      const admin = await harness.admin(server);
      const members = await harness.open(server, [{}, {}, { client: "ioredis" }]);
      const keys = keysOf(SPACE);
      await harness.readAll(members, keys);
      await harness.startReading(members, { keys, every: 2 });
      await Promise.all(
        members
          .slice(0, 2)
          .map(({ worker }, seed) =>
            worker.send({ type: "start-writing", plan: { ...SPACE, every: 15, hows: harness.hows(...WAYS), seed } }),
          ),
      );
      await sleep(200);
      for (let turn = 0; turn < harness.sized(turns.full, turns.small); turn += 1) {
        await harm({ harness, server, admin, turn });
        await sleep(harness.sized(700, 350));
      }
      await harness.stop(members);
      // A new process believes whatever Redis has kept.
      const [late] = (await harness.open(server, [{}])) as [Member];
      const { judgement, ...measured } = await harness.judged(verdict, [...members, late], SPACE, { outage: true });
      verdict.must(judgement.acked > 0, "no invalidation was acknowledged");
      return {
        ...measured,
        more: { "invalidations acknowledged": judgement.acked, "invalidations rejected": judgement.rejected },
      };
    },
  };
}

export const flushAll: Scenario = lostState("flushall", async ({ admin }) => void (await admin(["FLUSHALL"])));

export const restartEmpty: Scenario = lostState(
  "restart-empty",
  async ({ server }) => {
    await server.kill();
    await sleep(200);
    await server.restart();
    await sleep(500);
  },
  { full: 4, small: 1 },
);

/** Of tiercache's own keys; another library's bus has no such state. */
const ofItsOwn = ({ peer }: Harness): string | undefined =>
  peer === "tiercache" ? undefined : "it keeps no such state in Redis";

export const logTrimmed: Scenario = {
  ...lostState("log-trimmed", async ({ admin, turn }) => {
    if (turn % 2 === 0) await admin(["XTRIM", "faults#log", "MAXLEN", "0"]);
    else await admin(["DEL", "faults#log"]);
  }),
  unsupported: ofItsOwn,
};

export const marksEvicted: Scenario = {
  ...lostState(
    "marks-evicted",
    async ({ admin, turn }) =>
      void (await admin(["DEL", ["faults#marks", "faults#head", "faults#rules"][turn % 3] ?? ""])),
    { full: 9, small: 3 },
  ),
  unsupported: ofItsOwn,
};

/**
 * Groups are invalidated and nobody reads them; then the marks that say so are evicted, and a new process comes: the old
 * entries are still in Redis, and must not be believed.
 */
export const marksLostUnread: Scenario = {
  name: "marks-lost-unread",
  unsupported: ofItsOwn,
  async run(harness, verdict) {
    const server = await harness.redis();
    const admin = await harness.admin(server);
    const [writer] = (await harness.open(server, [{}])) as [Member];
    for (const [turn, lost] of ["marks", "rules", "head"].entries()) {
      const keys = keysOf(SPACE);
      await harness.readAll([writer], keys);
      const how = lost === "rules" ? "pattern" : (["tag", "prefix"] as const)[turn % 2];
      const order = orderOf(how ?? "tag", SPACE, () => turn / 4);
      const write = await writer.worker.send({ type: "write", order });
      harness.ledger.add({ process: writer.name, samples: [], writes: [write] });
      await admin(["DEL", `faults#${lost}`]);
      const [fresh] = (await harness.open(server, [{}])) as [Member];
      const found = (await harness.readAll([fresh], order.keys)).get(fresh) ?? [];
      const old = olderThan(found, (key) => harness.ledger.acked(key));
      verdict.must(old.length === 0, `${old.length} entries came back when ${lost} was lost, invalidated by ${how}`);
    }
    const { judgement: _, ...measured } = await harness.judged(verdict, [writer], SPACE);
    return measured;
  },
};

/** A process hears nothing while rows are written, and by the time it hears again the log of that is gone. */
export const lostWhileDeaf: Scenario = {
  name: "lost-while-deaf",
  async run(harness, verdict) {
    const server = await harness.redis();
    const admin = await harness.admin(server);
    const [deaf, writer] = (await harness.open(server, [{ proxied: true }, {}])) as [Member, Member];
    const keys = keysOf(SPACE);
    const losses = harness.peer === "tiercache" ? [["DEL", "faults#log"], ["FLUSHALL"]] : [["FLUSHALL"]];
    for (const loss of losses) {
      await harness.readAll([deaf, writer], keys);
      deaf.bus?.swallow();
      deaf.commands?.swallow();
      for (const key of keys) {
        const write = await writer.worker.send({ type: "write", order: { how: "key", keys: [key], target: key } });
        harness.ledger.add({ process: writer.name, samples: [], writes: [write] });
      }
      await admin(loss);
      deaf.bus?.cut();
      deaf.commands?.cut();
      await sleep(500);
    }
    // Alone: what another process loads and tells of might hide what this one missed.
    const { judgement: _, ...measured } = await harness.judged(verdict, [deaf], SPACE);
    return measured;
  },
};

/** A server full under `noeviction`: writes are refused, then there is room again. */
export const outOfMemory: Scenario = lostState(
  "out-of-memory",
  async ({ admin }) => {
    await admin(["CONFIG", "SET", "maxmemory", "1mb"]);
    await sleep(500);
    await admin(["CONFIG", "SET", "maxmemory", "0"]);
  },
  { full: 5, small: 1 },
);

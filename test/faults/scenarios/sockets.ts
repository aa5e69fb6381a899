import { tenth } from "../figures.js";
import { sleep, type Member } from "../harness.js";
import { keysOf, seeded, type KeySpace } from "../protocol.js";
import type { Scenario } from "../scenario.js";

const SPACE: KeySpace = { groups: 6, ids: 5 };
const WAYS = ["key", "tag", "prefix", "pattern"] as const;

/**
 * Connections that neither end has been told are dead: the subscription's, the commands', and both. The writer's are
 * well. At last the half-open ones are reset.
 */
function halfOpen(client: "node-redis" | "ioredis"): Scenario {
  return {
    name: `half-open-${client}`,
    unsupported: ({ peer }) => (peer !== "tiercache" && client === "ioredis" ? "it comes with its client" : undefined),
    async run(harness, verdict) {
      const server = await harness.redis();
      const bound = 1_000;
      const maxStaleness = harness.abilities.maxStaleness ? bound : undefined;
      const settings = { proxied: true, client };
      const [bus, commands, both, writer] = (await harness.open(server, [
        settings,
        settings,
        { ...settings, maxStaleness },
        { client },
      ])) as [Member, Member, Member, Member];
      const members = [bus, commands, both, writer];
      const keys = keysOf(SPACE);
      await harness.readAll(members, keys);
      await harness.startReading(members, { keys, every: 2 });
      await writer.worker.send({
        type: "start-writing",
        plan: { ...SPACE, every: 10, hows: harness.hows(...WAYS), seed: 6 },
      });
      await sleep(300);
      bus.bus?.swallow();
      commands.commands?.swallow();
      both.bus?.swallow();
      both.commands?.swallow();
      await sleep(harness.sized(4_000, 2_000));
      for (const member of members) {
        member.bus?.cut();
        member.commands?.cut();
      }
      await sleep(harness.sized(2_000, 800));
      await harness.stop(members);
      const { judgement, ...measured } = await harness.judged(verdict, members, SPACE, { outage: true });
      const of = (member: Member): number => judgement.stalenessOf.get(member.name) ?? 0;
      if (maxStaleness !== undefined)
        verdict.must(
          of(both) <= bound,
          `deaf, with maxStaleness ${bound} ms, it answered ${Math.round(of(both))} ms stale`,
        );
      verdict.aim(of(bus) <= 700, `with a half-open subscription it was stale for ${Math.round(of(bus))} ms`);
      return {
        ...measured,
        more: {
          "staleness, subscription half-open": tenth(of(bus)) ?? 0,
          "staleness, commands half-open": tenth(of(commands)) ?? 0,
          "staleness, both, with maxStaleness": tenth(of(both)) ?? 0,
        },
      };
    },
  };
}

export const halfOpenNodeRedis: Scenario = halfOpen("node-redis");
export const halfOpenIoRedis: Scenario = halfOpen("ioredis");

/** Connections are reset and killed all the time, everybody's and of every kind. */
export const connectionCuts: Scenario = {
  name: "connection-cuts",
  async run(harness, verdict) {
    const server = await harness.redis();
    const admin = await harness.admin(server);
    const members = await harness.open(server, [
      { proxied: true },
      { proxied: true },
      { proxied: true, client: "ioredis" },
    ]);
    const keys = keysOf(SPACE);
    await harness.readAll(members, keys);
    await harness.startReading(members, { keys, every: 2 });
    await Promise.all(
      members.map(({ worker }, seed) =>
        worker.send({ type: "start-writing", plan: { ...SPACE, every: 30, hows: harness.hows(...WAYS), seed } }),
      ),
    );
    const random = seeded(7);
    for (let i = 0; i < harness.sized(30, 10); i += 1) {
      await sleep(150);
      const member = members[Math.floor(random() * members.length)];
      const kind = Math.floor(random() * 4);
      if (kind === 0) member?.bus?.cut();
      else if (kind === 1) member?.commands?.cut();
      else if (kind === 2) await admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
      else await admin(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    await sleep(500);
    await harness.stop(members);
    const { judgement, ...measured } = await harness.judged(verdict, members, SPACE, { outage: true });
    verdict.must(judgement.acked > 0, "no invalidation was acknowledged");
    return {
      ...measured,
      more: { "invalidations acknowledged": judgement.acked, "invalidations rejected": judgement.rejected },
    };
  },
};

/**
 * Subscriptions are lost and made again while many rows are written once each, and the log is slow to read: what was
 * pushed to nobody must be missed, and found, although newer pushes arrive before it can be.
 */
export const missedPushes: Scenario = {
  name: "missed-pushes",
  async run(harness, verdict) {
    const server = await harness.redis();
    const space: KeySpace = { groups: 100, ids: 5 };
    const [one, other, writer] = (await harness.open(server, [
      { proxied: true },
      { proxied: true, client: "ioredis" },
      {},
    ])) as [Member, Member, Member];
    const members = [one, other, writer];
    await harness.readAll(members, keysOf(space));
    one.commands?.delay(120);
    other.commands?.delay(120);
    await writer.worker.send({ type: "start-writing", plan: { ...space, every: 4, hows: ["key"], seed: 8 } });
    for (let turn = 0; turn < harness.sized(12, 4); turn += 1) {
      await sleep(400);
      one.bus?.cut();
      other.bus?.cut();
    }
    await sleep(400);
    one.commands?.delay(0);
    other.commands?.delay(0);
    await harness.stop(members);
    // One alone: what another process loads and tells of might hide what this one missed.
    const { judgement, ...measured } = await harness.judged(verdict, [one], space, { outage: true });
    return { ...measured, more: { "invalidations acknowledged": judgement.acked } };
  },
};

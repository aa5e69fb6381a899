import type { RedisServer } from "../../support/redis-server.js";
import { latency, percentile, tenth } from "../figures.js";
import { sleep, type Admin, type Member } from "../harness.js";
import { keysOf, seeded, type KeySpace } from "../protocol.js";
import type { Scenario } from "../scenario.js";

const SPACE: KeySpace = { groups: 5, ids: 4 };
const WAYS = ["key", "tag", "prefix", "pattern"] as const;

/** No faults: how long after an acknowledged invalidation another process still gives the old value. */
export const lagOfOthers: Scenario = {
  name: "lag-of-others",
  async run(harness, verdict) {
    const server = await harness.redis();
    const settings = { timeout: 2_000 };
    const members = await harness.open(server, [settings, settings, settings]);
    // Few keys, so that each is read every few hundred microseconds.
    const space: KeySpace = { groups: 1, ids: 2 };
    const keys = keysOf(space);
    await harness.readAll(members, keys);
    await harness.startReading(members, { keys, every: 1, batch: 4 });
    await Promise.all(
      members.map(({ worker }, seed) =>
        worker.send({ type: "start-writing", plan: { ...space, every: 20, hows: harness.hows(...WAYS), seed } }),
      ),
    );
    await sleep(harness.sized(6_000, 1_500));
    await harness.stop(members);
    const { judgement, ...measured } = await harness.judged(verdict, members, space);
    const p99 = percentile(judgement.lags, 0.99) ?? 0;
    verdict.must(judgement.rejected === 0, `${judgement.rejected} invalidations rejected, with nothing broken`);
    verdict.aim(p99 <= 10, `p99 of the lag was ${p99.toFixed(1)} ms, expected 10`);
    return {
      ...measured,
      ...latency(judgement.lags),
      more: { invalidations: judgement.acked, reads: judgement.reads },
    };
  },
};

/** One thing that goes wrong, and comes right again. */
type Fault = (at: {
  readonly server: RedisServer;
  readonly admin: Admin;
  readonly member: Member;
  readonly random: () => number;
}) => Promise<void>;

const FAULTS: Readonly<Record<string, Fault>> = {
  "cut commands": async ({ member }) => member.commands?.cut(),
  "cut bus": async ({ member }) => member.bus?.cut(),
  "half-open bus": async ({ member }) => {
    member.bus?.swallow();
    await sleep(400);
    member.bus?.cut();
  },
  "half-open commands": async ({ member }) => {
    member.commands?.swallow();
    await sleep(400);
    member.commands?.cut();
  },
  "late commands": async ({ member }) => {
    member.commands?.delay(40);
    await sleep(300);
    member.commands?.delay(0);
  },
  "late bus": async ({ member }) => {
    member.bus?.delay(150);
    await sleep(300);
    member.bus?.delay(0);
  },
  "kill subscribers": async ({ admin }) => void (await admin(["CLIENT", "KILL", "TYPE", "pubsub"])),
  "hung redis": async ({ server }) => {
    server.pause();
    await sleep(400);
    server.resume();
  },
  flushall: async ({ admin }) => void (await admin(["FLUSHALL"])),
  "trim the log": async ({ admin }) => void (await admin(["DEL", "faults#log"])),
  "blocked process": ({ member, random }) => member.worker.send({ type: "block", ms: 100 + random() * 300 }),
  "frozen process": async ({ member }) => {
    member.worker.freeze();
    await sleep(500);
    member.worker.thaw();
  },
  "restart empty": async ({ server }) => {
    await server.kill();
    await sleep(100);
    await server.restart();
  },
};

/** Three processes write and read the same rows while one thing after the other goes wrong, by a seed. */
export function randomFaults(seed: number): Scenario {
  return {
    name: `random-faults-${seed}`,
    async run(harness, verdict) {
      const server = await harness.redis();
      const admin = await harness.admin(server);
      const members = await harness.open(server, [
        { proxied: true },
        { proxied: true, client: "ioredis" },
        { proxied: true },
      ]);
      const random = seeded(seed);
      harness.source.latency = 10;
      await harness.startReading(members, { keys: keysOf(SPACE), every: 2, batch: 2 });
      await Promise.all(
        members.map(({ worker }, index) =>
          worker.send({
            type: "start-writing",
            plan: { ...SPACE, every: 25, hows: harness.hows(...WAYS), seed: seed * 10 + index },
          }),
        ),
      );
      const happened: string[] = [];
      const names = Object.keys(FAULTS);
      for (let turn = 0; turn < harness.sized(40, 8); turn += 1) {
        await sleep(50 + random() * 250);
        const name = names[Math.floor(random() * names.length)] ?? "";
        const member = members[Math.floor(random() * members.length)] as Member;
        happened.push(name);
        await FAULTS[name]?.({ server, admin, member, random });
      }
      await sleep(500);
      await harness.stop(members);
      const { judgement, ...measured } = await harness.judged(verdict, members, SPACE, { outage: true });
      if (verdict.why.length > 0) verdict.must(false, `faults: ${happened.join(", ")}`);
      return {
        ...measured,
        more: {
          "invalidations acknowledged": judgement.acked,
          "invalidations rejected": judgement.rejected,
          reads: judgement.reads,
          "staleness, p99": tenth(percentile(judgement.lags, 0.99)) ?? 0,
        },
      };
    },
  };
}

/** Every kind of value is the same from the load, from memory, and from Redis in another process. */
export const valuesAcross: Scenario = {
  name: "values",
  async run(harness, verdict) {
    const server = await harness.redis();
    const [one, other] = (await harness.open(server, [{ timeout: 5_000 }, { timeout: 5_000 }])) as [Member, Member];
    const count = harness.sized(1_000, 250);
    const plan = { type: "values", count, seed: 20 } as const;
    const stored = await one.worker.send({ ...plan, part: "load" });
    const found = await other.worker.send({ ...plan, part: "shared" });
    const wrong = [...stored, ...found];
    verdict.must(wrong.length === 0, `${wrong.length} of ${count * 4} reads gave another value: ${wrong[0] ?? ""}`);
    return { more: { values: count, "reads that differ": wrong.length } };
  },
};

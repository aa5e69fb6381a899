import { latency, tenth } from "../figures.js";
import { sleep, type Member } from "../harness.js";
import { keyOf, keysOf, now, orderOf, type How, type KeySpace } from "../protocol.js";
import type { Scenario } from "../scenario.js";

const SPACE: KeySpace = { groups: 4, ids: 4 };

/** Two versions of an entity, and two schemas of one version, live on the same ids: a deploy that is under way. */
export const rollingDeploy: Scenario = {
  name: "rolling-deploy",
  unsupported: ({ abilities }) => (abilities.entities ? undefined : "no entities with versions"),
  async run(harness, verdict) {
    const server = await harness.redis();
    const members = await harness.open(server, [
      { entity: { version: 1, shape: "a" } },
      { entity: { version: 2, shape: "a" } },
      { entity: { version: 2, shape: "b" } },
    ]);
    const keys = keysOf(SPACE);
    await harness.startReading(members, { keys, every: 2 });
    await Promise.all(
      members.map(({ worker }, seed) =>
        worker.send({ type: "start-writing", plan: { ...SPACE, every: 20, hows: ["key"], seed } }),
      ),
    );
    await sleep(harness.sized(4_000, 1_000));
    await harness.stop(members);
    const { judgement, ...measured } = await harness.judged(verdict, members, SPACE);
    return { ...measured, more: { reads: judgement.reads, loads: harness.source.count() } };
  },
};

/** A group, or everything, is wiped while it is being loaded: no load that began before may bring anything back. */
export const wipedDuringLoads: Scenario = {
  name: "wiped-during-loads",
  async run(harness, verdict) {
    const server = await harness.redis();
    const members = await harness.open(server, [{}, {}, {}]);
    const writer = members[0] as Member;
    const keys = keysOf(SPACE);
    harness.source.latency = 80;
    await harness.startReading(members, { keys, every: 2 });
    const hows = harness.hows("key", "tag", "key", "prefix", "all");
    for (let turn = 0; turn < harness.sized(40, 10); turn += 1) {
      const how = hows[turn % hows.length] as How;
      const order = orderOf(how, SPACE, () => (turn * 0.37) % 1);
      // Twice: the second hits the loads that the first has caused.
      for (const pause of [40, 110]) {
        const write = await writer.worker.send({ type: "write", order });
        harness.ledger.add({ process: writer.name, samples: [], writes: [write] });
        await sleep(pause);
      }
    }
    const done = await harness.stop(members);
    const times = [...done.values()].flatMap((one) => one.samples).map((sample) => sample.endedAt - sample.startedAt);
    const { judgement: _, ...measured } = await harness.judged(verdict, members, SPACE);
    const { p99 = 0 } = latency(times);
    verdict.aim(p99 <= 500, `p99 of the reads was ${Math.round(p99)} ms with loads of ${harness.source.latency} ms`);
    return { ...measured, ...latency(times) };
  },
};

/**
 * A row is written while it is loaded, by the loading process or by another one: whoever reads after the acknowledgement
 * does not wait for the load that began before, nor does anybody find what it brought.
 */
export const lateReaders: Scenario = {
  name: "late-readers",
  async run(harness, verdict) {
    const server = await harness.redis();
    const members = await harness.open(server, [{ timeout: 5_000 }, { timeout: 5_000 }]);
    const [loading, other] = members as [Member, Member];
    const space: KeySpace = { groups: 12, ids: 1 };
    let group = 0;
    for (const how of harness.hows("key", "tag", "prefix", "pattern", "all")) {
      for (const writer of [loading, other]) {
        // The group of its own that this turn gets from a space of twelve.
        const order = orderOf(how, space, () => group / space.groups);
        const key = keyOf(group, 0);
        group += 1;
        harness.source.latency = harness.sized(700, 300);
        const before = harness.source.count(key);
        const first = loading.worker.send({ type: "read", keys: [key] });
        while (harness.source.count(key) === before) await sleep(5);
        const write = await writer.worker.send({ type: "write", order });
        const least = write.rows.find((row) => row.key === key)?.version ?? 0;
        harness.source.latency = 0;
        const own = await writer.worker.send({ type: "read", keys: [key] });
        harness.ledger.add({ process: writer.name, samples: own, writes: [write] });
        await first;
        const late = [...(await harness.readAll(members, [key])).values()].flat();
        const old = late.filter((sample) => sample.version < least);
        verdict.must(old.length === 0, `the load that began before an invalidation by ${how} was kept`);
      }
    }
    const { judgement: _, ...measured } = await harness.judged(verdict, members, space);
    return measured;
  },
};

/**
 * An answer of Redis is on its way to a process while the row is invalidated, and the word of that is faster: the answer
 * may be given to the reader who asked before, but must not stay in memory.
 */
export const lateReplies: Scenario = {
  name: "late-replies",
  async run(harness, verdict) {
    const server = await harness.redis();
    const patient = { timeout: 5_000 };
    const members = await harness.open(server, [{ ...patient, proxied: true }, patient]);
    const [slow, writer] = members as [Member, Member];
    const space: KeySpace = { groups: 12, ids: 1 };
    let group = 0;
    for (let turn = 0; turn < harness.sized(3, 1); turn += 1) {
      for (const how of harness.hows("key", "tag", "prefix", "pattern")) {
        const order = orderOf(how, space, () => group / space.groups);
        const key = keyOf(group, 0);
        group += 1;
        const stored = await writer.worker.send({ type: "read", keys: [key] });
        slow.commands?.delay(200);
        const asked = slow.worker.send({ type: "read", keys: [key] });
        // Redis has answered by then, and the answer is between the two.
        await sleep(300);
        const write = await writer.worker.send({ type: "write", order });
        const samples = await asked;
        slow.commands?.delay(0);
        await sleep(300);
        const again = await slow.worker.send({ type: "read", keys: [key] });
        const least = write.rows.find((row) => row.key === key)?.version ?? 0;
        harness.ledger.add({ process: writer.name, samples: stored, writes: [write] });
        harness.ledger.add({ process: slow.name, samples: [...samples, ...again], writes: [] });
        verdict.must(
          (again[0]?.version ?? 0) >= least,
          `an answer that an invalidation by ${how} had overtaken was kept`,
        );
      }
    }
    const { judgement: _, ...measured } = await harness.judged(verdict, members, space);
    return measured;
  },
};

/** A tag on very many keys is invalidated while they are read. */
export const bigTag: Scenario = {
  name: "big-tag",
  unsupported: (harness) => (harness.abilities.hows.includes("tag") ? undefined : "no tags on what getOrSet stores"),
  async run(harness, verdict) {
    const server = await harness.redis();
    const [writer, reader] = (await harness.open(server, [{}, {}])) as [Member, Member];
    const members = [writer, reader];
    const size = harness.sized(100_000, 3_000);
    const keys = keysOf({ groups: 1, ids: size });
    for (let from = 0; from < size; from += 2_000)
      await writer.worker.send({ type: "read", keys: keys.slice(from, from + 2_000) });
    const read = keys.filter((_, at) => at % Math.max(1, Math.floor(size / 200)) === 0);
    await harness.readAll(members, read);
    await harness.startReading(members, { keys: read, every: 1 });
    await sleep(300);
    const started = now();
    const write = await writer.worker.send({ type: "write", order: { how: "tag", keys: read, target: "group:g0" } });
    harness.ledger.add({ process: writer.name, samples: [], writes: [write] });
    await sleep(500);
    const done = await harness.stop(members);
    const times = [...done.values()]
      .flatMap((one) => one.samples)
      .filter((sample) => sample.endedAt >= started)
      .map((sample) => sample.endedAt - sample.startedAt);
    const { judgement: _, ...measured } = await harness.judged(verdict, members, read);
    const took = write.settledAt - write.sentAt;
    verdict.aim(took <= 20, `invalidating a tag on ${size} keys took ${took.toFixed(1)} ms`);
    return { ...measured, ...latency(times), more: { keys: size, "the invalidation took": tenth(took) ?? 0 } };
  },
};

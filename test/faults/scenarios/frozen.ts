import { latency, percentile, tenth } from "../figures.js";
import { sleep, type Member } from "../harness.js";
import { keysOf, now, type KeySpace } from "../protocol.js";
import type { Scenario } from "../scenario.js";

const SPACE: KeySpace = { groups: 6, ids: 5 };
const WAYS = ["key", "tag", "prefix", "pattern"] as const;

/** Two processes stand still while a third goes on invalidating; one of them is bound by `maxStaleness`. */
export const frozenProcess: Scenario = {
  name: "frozen-process",
  async run(harness, verdict) {
    const server = await harness.redis();
    const bound = 1_000;
    const maxStaleness = harness.abilities.maxStaleness ? bound : undefined;
    const [free, bounded, writer] = (await harness.open(server, [{}, { maxStaleness }, {}])) as [
      Member,
      Member,
      Member,
    ];
    const members = [free, bounded, writer];
    const keys = keysOf(SPACE);
    await harness.readAll(members, keys);
    await harness.startReading(members, { keys, every: 1 });
    await writer.worker.send({
      type: "start-writing",
      plan: { ...SPACE, every: 10, hows: harness.hows(...WAYS), seed: 4 },
    });
    await sleep(300);
    // With nothing under way, so that what it answers after the thaw is its memory's answer or a new one.
    await harness.stop([bounded]);
    free.worker.freeze();
    bounded.worker.freeze();
    await sleep(harness.sized(3_000, 1_800));
    free.worker.thaw();
    bounded.worker.thaw();
    await harness.startReading([bounded], { keys, every: 1 });
    await sleep(harness.sized(1_500, 700));
    await harness.stop(members);
    const { judgement, ...measured } = await harness.judged(verdict, members, SPACE);
    const staleness = judgement.stalenessOf.get(bounded.name) ?? 0;
    if (maxStaleness !== undefined)
      verdict.must(
        staleness <= bound,
        `with maxStaleness ${bound} ms, an answer was stale for ${Math.round(staleness)} ms`,
      );
    return { ...measured, more: { "largest staleness with maxStaleness": tenth(staleness) ?? 0 } };
  },
};

/**
 * A process hears nothing any more (both its connections are half-open) while it loads, and somebody writes meanwhile. A
 * reader that comes later than `maxStaleness` after that must not be given the answer of the load that began before.
 */
export const joinedWhileDeaf: Scenario = {
  name: "joined-while-deaf",
  unsupported: ({ abilities }) => (abilities.maxStaleness ? undefined : "no bound on staleness"),
  async run(harness, verdict) {
    const server = await harness.redis();
    const maxStaleness = 500;
    const [deaf, writer] = (await harness.open(server, [{ proxied: true, maxStaleness }, {}])) as [Member, Member];
    const key = keysOf(SPACE)[0] as string;
    harness.source.latency = 3_000;
    const first = deaf.worker.send({ type: "read", keys: [key] });
    while (harness.source.count(key) === 0) await sleep(5);
    deaf.bus?.swallow();
    deaf.commands?.swallow();
    const write = await writer.worker.send({ type: "write", order: { how: "key", keys: [key], target: key } });
    await sleep(1_500);
    harness.source.latency = 50;
    const later = await deaf.worker.send({ type: "read", keys: [key] });
    await first;
    harness.ledger.add({ process: writer.name, samples: [], writes: [write] });
    harness.ledger.add({ process: deaf.name, samples: later, writes: [] });
    const { largestStaleness } = harness.ledger.judge();
    verdict.must(write.error === undefined && later[0]?.error === undefined, "the write or the read was rejected");
    verdict.must(
      largestStaleness <= maxStaleness,
      `deaf, with maxStaleness ${maxStaleness} ms, a reader was given what was ${Math.round(largestStaleness)} ms stale`,
    );
    return { largestStaleness: tenth(largestStaleness) };
  },
};

/** Redis stands still (SIGSTOP): connections stay, and nothing answers. */
export const redisHung: Scenario = {
  name: "redis-hung",
  async run(harness, verdict) {
    const server = await harness.redis();
    const [reader, writer] = (await harness.open(server, [{}, {}])) as [Member, Member];
    const members = [reader, writer];
    const keys = keysOf(SPACE);
    harness.source.latency = 1;
    await harness.readAll(members, keys);
    await harness.startReading([writer], { keys, every: 2 });
    // Every read is of a new key, so that each has to ask Redis.
    await harness.startReading([reader], { keys: ["cold"], cold: true, every: 10 });
    await writer.worker.send({
      type: "start-writing",
      plan: { ...SPACE, every: 50, hows: harness.hows(...WAYS), seed: 5 },
    });
    await sleep(500);
    const hungAt = now();
    server.pause();
    await sleep(harness.sized(5_000, 2_500));
    const backAt = now();
    server.resume();
    await sleep(harness.sized(3_000, 2_000));
    const done = await harness.stop(members);
    const took = (done.get(reader)?.samples ?? []).map((sample) => ({
      ...sample,
      ms: sample.endedAt - sample.startedAt,
    }));
    const between = (from: number, to: number): number[] =>
      took.filter((sample) => sample.startedAt >= from && sample.startedAt < to).map((sample) => sample.ms);
    const first = between(hungAt, hungAt + 500);
    // The breaker has opened: only its probes wait.
    const later = between(hungAt + 1_000, backAt - 300);
    const lastSlow = Math.max(
      0,
      ...took.filter((s) => s.startedAt >= backAt && s.ms > 50).map((s) => s.startedAt - backAt),
    );
    const { judgement, ...measured } = await harness.judged(verdict, members, SPACE, { outage: true });
    const firstMax = percentile(first, 1) ?? 0;
    const laterTypical = percentile(later, 0.9) ?? 0;
    verdict.must(firstMax <= 3_000, `a read waited ${Math.round(firstMax)} ms for a hung Redis`);
    verdict.aim(firstMax <= 300, `the first reads waited up to ${Math.round(firstMax)} ms, expected 300`);
    verdict.aim(laterTypical <= 5, `later reads took ${laterTypical.toFixed(1)} ms (p90), expected 5`);
    verdict.aim(lastSlow <= 500, `reads were slow until ${Math.round(lastSlow)} ms after it was back, expected 500`);
    return {
      ...measured,
      ...latency(between(hungAt, backAt)),
      more: {
        "first reads, max": tenth(firstMax) ?? 0,
        "later reads, p90": tenth(laterTypical) ?? 0,
        "later reads, max": tenth(percentile(later, 1)) ?? 0,
        "last slow read after it was back": tenth(lastSlow) ?? 0,
        "invalidations acknowledged": judgement.acked,
        "invalidations rejected": judgement.rejected,
      },
    };
  },
};

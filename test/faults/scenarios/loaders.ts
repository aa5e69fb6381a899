import { latency, tenth } from "../figures.js";
import { sleep, type Member } from "../harness.js";
import { keyOf, keysOf, now, type KeySpace, type Sample } from "../protocol.js";
import type { Scenario } from "../scenario.js";

const SPACE: KeySpace = { groups: 6, ids: 5 };
const many = (key: string, readers: number): { type: "read"; keys: string[] } => ({
  type: "read",
  keys: Array.from({ length: readers }, () => key),
});

/** A load several times as long as the lease: it is renewed, and nobody else loads. */
export const slowLoader: Scenario = {
  name: "slow-loader",
  async run(harness, verdict) {
    const server = await harness.redis();
    const leaseTtl = 1_000;
    const settings = { leaseTtl, timeout: 5_000 };
    const members = await harness.open(server, [settings, settings, settings]);
    const key = keyOf(0, 0);
    harness.source.latency = harness.sized(5_000, 2_500);
    const samples = (await Promise.all(members.map(({ worker }) => worker.send(many(key, 50))))).flat();
    const loads = harness.source.count(key);
    verdict.must(loads === 1, `${loads} loads of a key whose load outlasts its lease`);
    verdict.must(
      samples.every((sample) => sample.version === 1),
      "reads were rejected",
    );
    return {
      loadsPerStampede: loads,
      errors: failed(samples),
      ...latency(samples.map((sample) => sample.endedAt - sample.startedAt - harness.source.latency)),
    };
  },
};

/** A source that fails: everybody who waited gets its error, it is not stormed, and its recovery shows at once. */
export const failingLoader: Scenario = {
  name: "failing-loader",
  async run(harness, verdict) {
    const server = await harness.redis();
    const members = await harness.open(server, [{}, {}, {}]);
    const key = keyOf(0, 0);
    harness.source.latency = 50;
    harness.source.failing = "the source is down";
    const seconds = harness.sized(3, 1);
    await harness.startReading(members, { keys: [key], every: 2 });
    await sleep(seconds * 1_000);
    const loads = harness.source.count(key);
    harness.source.failing = undefined;
    const healedAt = now();
    await sleep(harness.sized(3_000, 1_500));
    const done = await harness.stop(members);
    const samples = [...done.values()].flatMap((one) => one.samples);
    const wrong = samples.filter(
      (sample) => sample.error !== undefined && !sample.error.includes("the source is down"),
    );
    const lastError = Math.max(0, ...samples.filter((s) => s.error !== undefined).map((s) => s.endedAt - healedAt));
    const unhandled = await harness.unhandled();
    verdict.must(
      wrong.length === 0,
      `${wrong.length} callers got something else than the loader's error: ${wrong[0]?.error ?? ""}`,
    );
    verdict.must(unhandled.length === 0, `${unhandled.length} unhandled: ${unhandled[0] ?? ""}`);
    const stillFailing = [...(await harness.readAll(members, [key])).values()]
      .flat()
      .filter((s) => s.error !== undefined);
    verdict.must(stillFailing.length === 0, "reads are rejected although the source is well");
    // Three processes with a back-off of their own: far fewer than the one after the other of a single one.
    const stormy = (seconds * 1_000) / 50;
    verdict.must(loads <= stormy, `${loads} loads of a failing source in ${seconds} s`);
    return {
      errors: failed(samples),
      unhandled: unhandled.length,
      recoveryMs: tenth(lastError),
      more: { "loads while it failed": loads, reads: samples.length },
    };
  },
};

/** A load that never ends: its callers are freed at the hard timeout, and so is the key. */
export const hangingLoader: Scenario = {
  name: "hanging-loader",
  unsupported: ({ abilities }) => (abilities.hardTimeout ? undefined : "no bound on a load"),
  async run(harness, verdict) {
    const server = await harness.redis();
    const hardTimeout = 600;
    const members = await harness.open(server, [{ hardTimeout }, { hardTimeout }]);
    const key = keyOf(0, 0);
    harness.source.hanging = true;
    const hung = (
      await Promise.all(members.map(({ worker }) => worker.send({ ...many(key, 20), patience: 8_000 })))
    ).flat();
    const times = hung.map((sample) => sample.endedAt - sample.startedAt);
    const { max = 0 } = latency(times);
    verdict.must(
      hung.every((sample) => sample.error !== undefined),
      "a load that never ends was answered",
    );
    verdict.must(max <= 5_000, `callers waited ${Math.round(max)} ms with a hard timeout of ${hardTimeout} ms`);
    harness.source.hanging = false;
    const freedAt = now();
    const freed = (
      await Promise.all(members.map(({ worker }) => worker.send({ ...many(key, 20), patience: 8_000 })))
    ).flat();
    // A back-off after the failure may answer once more with it.
    const rejected = failed(freed);
    await sleep(1_200);
    const after = [...(await harness.readAll(members, [key])).values()].flat();
    verdict.must(failed(after) === 0, `the key is not free: ${after[0]?.error ?? ""}`);
    const unhandled = await harness.unhandled();
    verdict.must(unhandled.length === 0, `${unhandled.length} unhandled: ${unhandled[0] ?? ""}`);
    return {
      errors: failed(after),
      unhandled: unhandled.length,
      ...latency(times),
      recoveryMs: tenth(Math.max(...freed.map((sample) => sample.endedAt)) - freedAt),
      more: { "rejected just after": rejected },
    };
  },
};

/** The loading process is blocked for longer than its lease, somebody writes meanwhile: its late fill is refused. */
export const holderBlocked: Scenario = {
  name: "holder-blocked",
  async run(harness, verdict) {
    const server = await harness.redis();
    const leaseTtl = 500;
    const [holder, other, writer] = (await harness.open(server, [{ leaseTtl }, { leaseTtl }, { leaseTtl }])) as [
      Member,
      Member,
      Member,
    ];
    const members = [holder, other, writer];
    const keys: string[] = [];
    for (let turn = 0; turn < harness.sized(3, 1); turn += 1) {
      const key = keyOf(turn, 0);
      keys.push(key);
      harness.source.latency = 100;
      const held = holder.worker.send(many(key, 5));
      while (harness.source.count(key) === 0) await sleep(5);
      const blocked = holder.worker.send({
        type: "block",
        ms: harness.sized([1_000, 2_500, 5_000][turn] ?? 1_000, 1_200),
      });
      const write = await writer.worker.send({ type: "write", order: { how: "key", keys: [key], target: key } });
      harness.ledger.add({ process: writer.name, samples: [], writes: [write] });
      const [took] = await other.worker.send({ type: "read", keys: [key] });
      verdict.must(
        took?.version === 2,
        `another process read v${took?.version} after the acknowledged v2 (${took?.error ?? ""})`,
      );
      await Promise.all([held, blocked]);
      const after = [...(await harness.readAll(members, [key])).values()].flat();
      verdict.must(
        after.every((sample) => sample.version === 2),
        "the late load of the blocked process was stored",
      );
    }
    const { judgement: _, ...measured } = await harness.judged(verdict, members, keys);
    return measured;
  },
};

/** Two processes whose wall clocks are an hour off, one either way. */
export const wallClocks: Scenario = {
  name: "wall-clocks",
  async run(harness, verdict) {
    const server = await harness.redis();
    const hour = 3_600_000;
    const members = await harness.open(server, [{ wallOffset: hour }, {}, { wallOffset: -hour }]);
    const keys = keysOf(SPACE);
    await harness.startReading(members, { keys, every: 1 });
    await Promise.all(
      members.map(({ worker }, seed) =>
        worker.send({
          type: "start-writing",
          plan: { ...SPACE, every: 30, hows: harness.hows("key", "tag", "prefix", "pattern"), seed },
        }),
      ),
    );
    await sleep(harness.sized(3_000, 1_000));
    await harness.stop(members);
    const { judgement, ...measured } = await harness.judged(verdict, members, SPACE);
    return { ...measured, more: { reads: judgement.reads, loads: harness.source.count() } };
  },
  unsupported: ({ peer }) => (peer === "tiercache" ? undefined : "its clock cannot be set from outside"),
};

function failed(samples: readonly Sample[]): number {
  return samples.filter((sample) => sample.error !== undefined).length;
}

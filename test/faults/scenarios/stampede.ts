import { latency, tenth } from "../figures.js";
import { sleep, type Member } from "../harness.js";
import { keyOf, now, type Sample } from "../protocol.js";
import type { Scenario } from "../scenario.js";

/** Loads are counted: a Redis that is slow only because the machine is busy must not add any. */
const PATIENT = { timeout: 5_000 } as const;

/** Everybody asks for one cold key at once: one load, however many processes. */
export const stampede: Scenario = {
  name: "stampede",
  async run(harness, verdict) {
    const server = await harness.redis();
    const members = await harness.open(server, [PATIENT, PATIENT, PATIENT, PATIENT]);
    const cases = [
      { members: members.slice(0, 1), readers: 1_000, loader: 100 },
      { members, readers: 250, loader: 100 },
      // A load so short that it ends while the others are still being told that they must wait.
      { members, readers: 25, loader: 2 },
      ...(harness.size === "full"
        ? [
            { members: members.slice(0, 1), readers: 1_000, loader: 2_000 },
            { members, readers: 250, loader: 2_000 },
          ]
        : []),
    ];
    const times: number[] = [];
    const more: Record<string, number> = {};
    let [most, errors, turn] = [0, 0, 0];
    for (const { members: those, readers, loader } of cases) {
      harness.source.latency = loader;
      for (let i = 0; i < harness.sized(3, 1); i += 1) {
        turn += 1;
        const key = keyOf(turn, 0);
        const samples = await rush(those, key, readers);
        const loads = harness.source.count(key);
        const failed = samples.filter((sample) => sample.error !== undefined);
        const what = `${those.length} × ${readers} readers, a load of ${loader} ms`;
        verdict.must(loads === 1, `${loads} loads for ${what}`);
        verdict.must(failed.length === 0, `${failed.length} reads rejected for ${what}: ${failed[0]?.error ?? ""}`);
        most = Math.max(most, loads);
        errors += failed.length;
        more[`loads, ${what}`] = Math.max(more[`loads, ${what}`] ?? 0, loads);
        // Beyond the load itself.
        times.push(...samples.map((sample) => sample.endedAt - sample.startedAt - loader));
      }
    }
    return { loadsPerStampede: most, errors, ...latency(times), more };
  },
};

/** So many readers in each process ask for one key in the same moment. */
export async function rush(members: readonly Member[], key: string, readers: number): Promise<Sample[]> {
  const at = now() + 50;
  const keys = Array.from({ length: readers }, () => key);
  const all = await Promise.all(members.map(({ worker }) => worker.send({ type: "read", keys, at })));
  return all.flat();
}

/** A key that everybody reads all the time, and that expires every second: refreshed behind its readers' backs. */
export const hotKey: Scenario = {
  name: "hot-key",
  unsupported: (harness) => (harness.abilities.staleWhileRevalidate ? undefined : "no stale-while-revalidate"),
  async run(harness, verdict) {
    const server = await harness.redis();
    const settings = { ...PATIENT, ttl: 1_000, staleWhileRevalidate: 10_000 };
    const members = await harness.open(server, [settings, settings, settings]);
    const seconds = harness.sized(5, 2.5);
    harness.source.latency = 50;
    await harness.readAll(members, [keyOf(0, 0)]);
    await harness.startReading(members, { keys: [keyOf(0, 0)], every: 1 });
    await sleep(seconds * 1_000);
    const done = await harness.stop(members);
    const samples = [...done.values()].flatMap((one) => one.samples);
    const loads = harness.source.count();
    const times = samples.map((sample) => sample.endedAt - sample.startedAt);
    const { max = 0 } = latency(times);
    const allowed = Math.ceil(seconds);
    verdict.must(
      loads <= allowed,
      `${loads} loads in ${seconds} s of a key that lives 1 s, expected ${allowed} at most`,
    );
    verdict.must(loads >= 2, `${loads} loads in ${seconds} s: it was never refreshed`);
    verdict.must(harness.ledger.judge().errorCount === 0, "reads were rejected");
    verdict.aim(max <= 100, `a read took ${Math.round(max)} ms, expected 100 at most`);
    return { errors: harness.ledger.judge().errorCount, ...latency(times), more: { loads, reads: samples.length } };
  },
};

/** The process that loads dies: somebody else does it, no later than the dead one's lease ends. */
export const holderKilled: Scenario = {
  name: "holder-killed",
  unsupported: ({ abilities }) => (abilities.leases ? undefined : "no loads are shared between processes"),
  async run(harness, verdict) {
    const server = await harness.redis();
    const leaseTtl = 1_000;
    const settings = { ...PATIENT, leaseTtl };
    const [holder, ...others] = (await harness.open(server, [settings, settings, settings])) as [Member, ...Member[]];
    const key = keyOf(0, 0);
    harness.source.latency = 60_000;
    const lost = holder.worker.send({ type: "read", keys: [key] }).catch(() => undefined);
    await until(() => harness.source.count(key) === 1);
    const waiting = others.map(({ worker }) =>
      worker.send({ type: "read", keys: Array.from({ length: 20 }, () => key) }),
    );
    await sleep(100);
    harness.source.latency = 20;
    harness.source.commit([key]);
    const killedAt = now();
    await harness.kill(holder);
    await lost;
    const samples = (await Promise.all(waiting)).flat();
    const times = samples.map((sample) => sample.endedAt - killedAt);
    const { max = 0 } = latency(times);
    const old = samples.filter((sample) => sample.version === 1).length;
    const loads = harness.source.count(key);
    verdict.must(
      samples.every((sample) => sample.error === undefined),
      `reads were rejected: ${samples[0]?.error ?? ""}`,
    );
    verdict.must(old === 0, `${old} reads got what the dead process had read`);
    verdict.must(loads === 2, `${loads - 1} loads took the dead one's place`);
    verdict.must(max <= leaseTtl + 3_000, `answered ${Math.round(max)} ms after the kill`);
    verdict.aim(max <= leaseTtl + 300, `answered ${Math.round(max)} ms after the kill, with a lease of ${leaseTtl} ms`);
    return { errors: 0, staleAfterQuiet: old, recoveryMs: max, ...latency(times), more: { loads } };
  },
};

/**
 * A lease is granted when its asker has stopped waiting for the answer (writes are paused in Redis, reads are not): it
 * belongs to nobody, and others should not have to wait until it runs out.
 */
export const leaseOrphaned: Scenario = {
  name: "lease-orphaned",
  unsupported: ({ abilities }) => (abilities.leases ? undefined : "no loads are shared between processes"),
  async run(harness, verdict) {
    const server = await harness.redis();
    const admin = await harness.admin(server);
    const leaseTtl = 2_000;
    const [asker, other] = (await harness.open(server, [{ leaseTtl }, { leaseTtl }])) as [Member, Member];
    const key = keyOf(0, 0);
    await harness.readAll([asker, other], [keyOf(1, 0)]);
    await admin(["CLIENT", "PAUSE", "600", "WRITE"]);
    const [asked] = await asker.worker.send({ type: "read", keys: [key] });
    await sleep(700);
    const [found] = await other.worker.send({ type: "read", keys: [key] });
    const took = (found?.endedAt ?? 0) - (found?.startedAt ?? 0);
    verdict.must(
      asked?.version === 1 && found?.version === 1,
      `reads were rejected: ${asked?.error ?? found?.error ?? ""}`,
    );
    verdict.must(took <= leaseTtl + 3_000, `another process was answered after ${Math.round(took)} ms`);
    verdict.aim(took <= 500, `another process waited ${Math.round(took)} ms for a lease that nobody holds`);
    return { errors: 0, max: tenth(took) };
  },
};

async function until(check: () => boolean): Promise<void> {
  for (let left = 500; left > 0 && !check(); left -= 1) await sleep(10);
  if (!check()) throw new Error("it did not come to that within 5 s");
}

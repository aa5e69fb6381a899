import { describe, expect, it } from "vitest";
import { FakeClock } from "./fake-clock.js";
import { SharedMemory, type SharedStep } from "./shared-memory.js";
import { sharedTierSuite } from "./shared-tier-suite.js";
import { entry, keyMarks } from "./suite/session.js";

sharedTierSuite(
  "SharedMemory",
  async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const bounded = new Map<string, SharedMemory>();
    return {
      open(cacheName, bounds) {
        if (bounds === undefined) return server.factory().open(cacheName);
        const key = JSON.stringify(bounds);
        const small = bounded.get(key) ?? new SharedMemory({ clock, ...bounds });
        bounded.set(key, small);
        return small.factory().open(cacheName);
      },
      flush: async () => server.flush(),
      trimLog: async () => server.trimLog(),
      pass: (ms) => clock.advance(ms),
      close: async () => undefined,
    };
  },
  { describe, it },
);

/** A schedule that keeps every step until the test runs it. */
function held(): {
  steps: SharedStep[];
  schedule: (step: SharedStep) => void;
  take: (kind: SharedStep["kind"]) => SharedStep;
} {
  const steps: SharedStep[] = [];
  return {
    steps,
    schedule: (step) => void steps.push(step),
    take(kind) {
      const index = steps.findIndex((step) => step.kind === kind);
      const [step] = steps.splice(index, 1);
      if (index === -1 || step === undefined) throw new Error(`no ${kind} waits`);
      return step;
    },
  };
}

describe("SharedMemory's schedule", () => {
  it("does what was asked when the request runs, and tells when the reply runs", async () => {
    const { schedule, take } = held();
    const server = new SharedMemory({ schedule, clock: new FakeClock() });
    const { store } = server.factory().open("c");
    let answered = false;
    const putting = store.put([{ key: "a", value: entry(1), ttl: 1_000 }], "me").then(() => (answered = true));
    const reading = store.read(["a"]);
    take("request").run();
    take("request").run();
    take("reply");
    take("reply").run();
    expect((await reading).values[0]).toEqual(entry(1));
    expect(answered).toBe(false);
    void putting;
  });

  it("lets requests overtake each other", async () => {
    const { schedule, steps } = held();
    const server = new SharedMemory({ schedule, clock: new FakeClock() });
    const { store } = server.factory().open("c");
    const first = store.put([{ key: "a", value: entry(1), ttl: 1_000 }], "me");
    const second = store.put([{ key: "a", value: entry(2), ttl: 1_000 }], "me");
    steps.reverse();
    while (steps.length > 0) steps.shift()?.run();
    expect((await first).position).toBeGreaterThan((await second).position);
  });

  it("does twice what is sent twice, and answers once", async () => {
    const { schedule, take, steps } = held();
    const server = new SharedMemory({ schedule, clock: new FakeClock() });
    const { leases } = server.factory().open("c");
    const acquiring = leases.acquire("a", { token: "t", ttl: 1_000 });
    const request = take("request");
    request.run();
    request.run();
    while (steps.length > 0) steps.shift()?.run();
    expect((await acquiring).state).toBe("won");
  });

  it("schedules one push for each subscriber, which may be dropped, late or doubled", async () => {
    const { schedule, take, steps } = held();
    const server = new SharedMemory({ schedule, clock: new FakeClock() });
    const { log, store } = server.factory().open("c");
    const heard: string[][] = [[], []];
    const subscribing = heard.map((list) => log.subscribe((signal) => list.push(signal.type)));
    while (steps.length > 0) steps.shift()?.run();
    const [endFirst] = await Promise.all(subscribing);
    void store.invalidate(keyMarks("a"), false, "me");
    take("request").run();
    const [toFirst, toSecond] = [take("push"), take("push")];
    expect([toFirst.name, toSecond.name]).toEqual(["record", "record"]);
    toSecond.run();
    toSecond.run();
    await endFirst?.();
    toFirst.run();
    expect(heard).toEqual([["up"], ["up", "record", "record"]]);
  });

  it("takes what it is given at the call, not at the request", async () => {
    const { schedule, steps } = held();
    const server = new SharedMemory({ schedule, clock: new FakeClock() });
    const { store } = server.factory().open("c");
    const value = entry(1);
    const keys = ["a"];
    void store.put([{ key: "a", value, ttl: 1_000 }], "me");
    const reading = store.read(keys);
    value.fill(0);
    keys[0] = "b";
    while (steps.length > 0) steps.shift()?.run();
    expect((await reading).values[0]).toEqual(entry(1));
  });

  it("keeps the newest records asked for when the log is trimmed", async () => {
    const server = new SharedMemory({ clock: new FakeClock() });
    const { log, store } = server.factory().open("c");
    const positions = [];
    for (const key of ["a", "b", "c"])
      positions.push((await store.invalidate(keyMarks(key), false, "me")).head.position);
    server.trimLog(1);
    expect((await log.since(positions[1] ?? 0, 10)).records?.map(({ position }) => position)).toEqual([positions[2]]);
    expect((await log.since(positions[0] ?? 0, 10)).records).toBeUndefined();
  });

  it("keeps as many records as it was told", async () => {
    const server = new SharedMemory({ clock: new FakeClock(), logLength: 2 });
    const { log, store } = server.factory().open("c");
    const positions = [];
    for (const key of ["a", "b", "c", "d"])
      positions.push((await store.invalidate(keyMarks(key), false, "me")).head.position);
    expect((await log.since(positions[1] ?? 0, 10)).records).toHaveLength(2);
    expect((await log.since(positions[0] ?? 0, 10)).records).toBeUndefined();
  });

  it("gives no position twice when the clock stands still or steps back, through restarts too", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const { log, store } = server.factory().open("c");
    let last = 0;
    for (let round = 0; round < 10; round++) {
      if (round % 3 === 0) clock.stepWall(-60_000);
      if (round % 4 === 3) server.flush();
      const { position } =
        round % 2 === 0 ? (await store.invalidate(keyMarks("a"), false, "me")).head : await log.head();
      expect(position).toBeGreaterThanOrEqual(last + (round % 2 === 0 ? 1 : 0));
      last = position;
    }
  });
});

describe("SharedMemory's failover", () => {
  const LONG = 60_000;

  it("goes back as many changes as the replica lacks: entries, log and head", async () => {
    const server = new SharedMemory({ clock: new FakeClock(), replicaLag: 10 });
    const { store, log } = server.factory().open("c");
    await store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
    const before = await log.head();
    await store.put([{ key: "a", value: entry(2), ttl: LONG }], "me");
    await store.invalidate(keyMarks("a"), false, "me");
    expect(server.failover(2)).toBe(1_000);
    expect((await store.read(["a"])).values).toEqual([entry(1)]);
    expect(await log.head()).toEqual(before);
    expect((await log.since(before.position, 10)).records).toEqual([]);
  });

  it("takes leases and marks back with it, and the soft-stale flag of an entry", async () => {
    const server = new SharedMemory({ clock: new FakeClock(), replicaLag: 10 });
    const { store, leases } = server.factory().open("c");
    await store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
    await leases.acquire("b", { token: "t", ttl: LONG });
    await store.invalidate([{ kind: "tag", tag: "x" }], false, "me");
    await store.invalidate(keyMarks("a", "b"), true, "me");
    server.failover(2);
    expect((await store.read(["a"])).values).toEqual([entry(1)]);
    expect(await leases.renew("b", "t", LONG)).toBe(true);
    const [mark] = await store.marks([{ kind: "tag", tag: "x" }]);
    expect(mark?.hard).toBe((await store.read([])).head?.floor);
  });

  it("gives positions again, or passes them, as the replica's clock says, but to no other record", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock, replicaLag: 10 });
    const { store } = server.factory().open("c");
    const write = async (key: string): Promise<number> =>
      (await store.invalidate(keyMarks(key), false, "me")).head.position;
    const first = await write("a");
    await clock.advance(10);
    const lost = await write("a");
    server.failover(1);
    expect(await write("a")).toBe(lost);
    server.failover(1, { clock: -1_000 });
    const again = await write("a");
    server.failover(1);
    const other = await write("b");
    // The clock stands behind: some way on, and not the same for both.
    for (const position of [again, other]) expect(position).toBeGreaterThan(first + 1);
    expect(other).not.toBe(again);
    server.failover(1, { clock: 5_000 });
    expect(await write("a")).toBeGreaterThan(lost + 1_000_000);
  });

  it("loses nothing without a replica that lags, and no more than that", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const { store } = server.factory().open("c");
    await store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
    expect(server.failover(5)).toBeUndefined();
    expect((await store.read(["a"])).values).toEqual([entry(1)]);
    const lagging = new SharedMemory({ clock, replicaLag: 1 });
    const other = lagging.factory().open("c");
    await other.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
    await other.store.put([{ key: "b", value: entry(2), ttl: LONG }], "me");
    expect(lagging.failover(5)).toBe(1_000);
    expect((await other.store.read(["a", "b"])).values).toEqual([entry(1), undefined]);
  });
});

describe("SharedMemory's shards", () => {
  it("are servers of their own, and their positions have nothing in common", async () => {
    const server = new SharedMemory({ clock: new FakeClock(), replicaLag: 5 });
    const tier = server.shardedFactory(3).openShards("c");
    const { shards } = tier;
    expect(new Set(["a", "b", "c", "d", "e", "f"].map((key) => tier.shardOf(key)))).toEqual(new Set([0, 1, 2]));
    const heads = [];
    for (const { store } of shards)
      heads.push((await store.put([{ key: "a", value: entry(1), ttl: 1_000 }], "me")).position);
    expect(new Set(heads).size).toBe(3);
    const stored = async (): Promise<boolean[]> =>
      Promise.all(shards.map(async ({ store }) => (await store.read(["a"])).values[0] !== undefined));
    server.flush(1);
    expect(await stored()).toEqual([true, false, true]);
    server.failover(1, { shard: 2 });
    expect(await stored()).toEqual([true, false, false]);
    server.trimLog(0, 0);
    expect((await shards[0]?.log.since(0, 10))?.records).toBeUndefined();
  });

  it("say on each step which of them it is of, to the schedule of the connection", async () => {
    const { schedule, steps } = held();
    const server = new SharedMemory({ clock: new FakeClock() });
    const { shards } = server.shardedFactory(2, schedule).openShards("c");
    const asked = shards.toReversed().map(({ log }) => log.head());
    asked.push(server.factory().open("c").log.head());
    expect(steps.map(({ shard, name }) => [shard, name])).toEqual([
      [1, "head"],
      [0, "head"],
    ]);
    for (const step of steps) step.run();
    await Promise.all(asked);
  });
});

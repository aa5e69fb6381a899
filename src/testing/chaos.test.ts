import { describe, expect, it, vi } from "vitest";
import type { LogSignal, SharedTier } from "../tiers/shared.js";
import { chaos, type Chaos, type SharedCall, type ShardedChaos } from "./chaos.js";
import { FakeClock } from "./fake-clock.js";
import { SharedMemory } from "./shared-memory.js";
import { sharedTierSuite } from "./shared-tier-suite.js";
import { entry, keyMarks, LONG, stampBytes } from "./suite/session.js";

sharedTierSuite(
  "chaos, healthy",
  async () => {
    const clock = new FakeClock();
    const servers = new Map<string, SharedMemory>();
    const serverOf = (bounds: object): SharedMemory => {
      const name = JSON.stringify(bounds);
      const server = servers.get(name) ?? new SharedMemory({ clock, ...bounds });
      servers.set(name, server);
      return server;
    };
    return {
      open: (cacheName, bounds = {}) => chaos(serverOf(bounds).factory()).factory.open(cacheName),
      flush: async () => servers.forEach((server) => server.flush()),
      trimLog: async () => servers.forEach((server) => server.trimLog()),
      pass: (ms) => clock.advance(ms),
      close: async () => undefined,
    };
  },
  { describe, it },
);

function setup(): { clock: FakeClock; disturbed: Chaos; tier: SharedTier; direct: SharedTier } {
  const clock = new FakeClock();
  const server = new SharedMemory({ clock });
  const disturbed = chaos(server.factory());
  return { clock, disturbed, tier: disturbed.factory.open("c"), direct: server.factory().open("c") };
}

/** Every call a tier takes, once. */
function everyCall({ store, leases, log }: SharedTier): Record<SharedCall, () => Promise<unknown>> {
  return {
    read: () => store.read(["a"]),
    put: () => store.put([{ key: "a", value: entry(1), ttl: LONG }], "me"),
    invalidate: () => store.invalidate(keyMarks("a"), false, "me"),
    marks: () => store.marks([{ kind: "all" }]),
    rules: () => store.rules(),
    discard: () => store.discard("a", stampBytes(1)),
    list: () =>
      store.list?.({ beginning: "", cursor: undefined, count: 1 }) ?? Promise.reject(new Error("cannot list")),
    acquire: () => leases.acquire("a", { token: "t", ttl: LONG }),
    renew: () => leases.renew("a", "t", LONG),
    fill: () => leases.fill("a", "t", entry(1), LONG),
    commit: () => leases.commit("a", "t", entry(1), LONG, "me"),
    release: () => leases.release("a", "t"),
    head: () => log.head(),
    since: () => log.since(0, 1),
    subscribe: () => log.subscribe(() => undefined),
  };
}

describe("chaos", () => {
  it("counts every call, whatever comes of it", async () => {
    const { disturbed, tier } = setup();
    for (const call of Object.values(everyCall(tier))) await call();
    disturbed.fail();
    for (const call of Object.values(everyCall(tier))) await call().catch(() => undefined);
    expect(new Set(Object.values(disturbed.calls))).toEqual(new Set([2]));
  });

  it("fails every call with the error given, and does nothing", async () => {
    const { disturbed, tier, direct } = setup();
    const error = new Error("no");
    disturbed.fail(error);
    for (const call of Object.values(everyCall(tier))) await expect(call()).rejects.toBe(error);
    expect((await direct.store.read(["a"])).head).toBeUndefined();
    disturbed.fail();
    await expect(tier.log.head()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    disturbed.heal();
    expect((await tier.log.head()).position).toBeGreaterThan(0);
  });

  it("hangs every call, those made before `heal` for ever, and does nothing", async () => {
    const { clock, disturbed, tier, direct } = setup();
    disturbed.hang();
    const settled = vi.fn<(outcome: unknown) => void>();
    for (const call of Object.values(everyCall(tier))) call().then(settled, settled);
    await clock.advance(1_000_000);
    disturbed.heal();
    await clock.advance(1_000_000);
    expect(settled).not.toHaveBeenCalled();
    expect((await direct.store.read(["a"])).head).toBeUndefined();
    expect((await tier.store.read(["a"])).values).toEqual([undefined]);
  });

  it("loses answers of what was done", async () => {
    const { clock, disturbed, tier, direct } = setup();
    disturbed.loseAnswers();
    const settled = vi.fn<(outcome: unknown) => void>();
    tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me").then(settled, settled);
    tier.leases.acquire("b", { token: "t", ttl: LONG }).then(settled, settled);
    await clock.advance(10);
    expect(settled).not.toHaveBeenCalled();
    expect((await direct.store.read(["a"])).values[0]).toEqual(entry(1));
    expect((await direct.leases.acquire("b", { token: "u", ttl: LONG })).state).toBe("held");
  });

  it("delays calls on the clock given", async () => {
    const { clock, disturbed, tier } = setup();
    disturbed.slow(50, clock);
    const settled = vi.fn<(outcome: unknown) => void>();
    tier.store.read(["a"]).then(settled, settled);
    await clock.advance(49);
    expect(settled).not.toHaveBeenCalled();
    await clock.advance(1);
    expect(settled).toHaveBeenCalledOnce();
  });

  it("drops pushes silently while told so", async () => {
    const { clock, disturbed, tier, direct } = setup();
    const heard: string[] = [];
    await tier.log.subscribe(({ type }) => heard.push(type));
    disturbed.dropPushes(true);
    await direct.store.invalidate(keyMarks("a"), false, "me");
    await clock.advance(1);
    disturbed.dropPushes(false);
    await direct.store.invalidate(keyMarks("a"), true, "me");
    await clock.advance(1);
    expect(heard).toEqual(["up", "record"]);
  });

  it("disconnects and reconnects subscribers; what was pushed meanwhile is lost", async () => {
    const { clock, disturbed, tier, direct } = setup();
    const heard: LogSignal[] = [];
    const end = await tier.log.subscribe((signal) => heard.push(signal));
    disturbed.disconnect();
    disturbed.disconnect();
    await direct.store.invalidate(keyMarks("a"), false, "me");
    await clock.advance(1);
    disturbed.reconnect();
    disturbed.reconnect();
    await direct.store.invalidate(keyMarks("b"), false, "me");
    await clock.advance(1);
    expect(heard.map(({ type }) => type)).toEqual(["up", "down", "up", "record"]);
    await end();
    disturbed.disconnect();
    expect(heard).toHaveLength(4);
  });
});

describe("chaos of a sharded tier", () => {
  function sharded(): { disturbed: ShardedChaos; shards: readonly SharedTier[] } {
    const disturbed = chaos(new SharedMemory({ clock: new FakeClock() }).shardedFactory(2));
    return { disturbed, shards: disturbed.factory.openShards("c").shards };
  }
  const [first, second] = [0, 1];

  it("disturbs one shard, or all", async () => {
    const { disturbed, shards } = sharded();
    disturbed.shard(second).fail();
    await expect(shards[first]?.log.head()).resolves.toBeDefined();
    await expect(shards[second]?.log.head()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    disturbed.fail();
    await expect(shards[first]?.log.head()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    disturbed.heal();
    await expect(shards[second]?.log.head()).resolves.toBeDefined();
  });

  it("counts the calls of each shard, and of all", async () => {
    const { disturbed, shards } = sharded();
    await shards[first]?.log.head();
    await shards[second]?.log.head();
    await shards[second]?.log.head();
    expect([disturbed.shard(first).calls.head, disturbed.shard(second).calls.head]).toEqual([1, 2]);
    expect(disturbed.calls.head).toBe(3);
  });

  it("disturbs shards that are opened later as well", async () => {
    const disturbed = chaos(new SharedMemory({ clock: new FakeClock() }).shardedFactory(2));
    disturbed.fail();
    const { shards } = disturbed.factory.openShards("c");
    await expect(shards[second]?.log.head()).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

import { describe, expect, it } from "vitest";

import { createCache, memory, type Cache, type SharedTier } from "../src/index.js";
import type { CacheEventType } from "../src/events.js";
import { FakeClock, SharedMemory, type SharedStep } from "../src/testing/index.js";
import { deferred } from "./support/deferred.js";
import {
  COOLDOWN,
  FAILURES,
  failingTier,
  HEARTBEAT,
  openBreaker,
  PATIENCE,
  timed,
  TIMEOUT,
} from "./support/failing-tier.js";

const start = failingTier();

const heard = (cache: Cache, type: CacheEventType): { count: number } => {
  const told = { count: 0 };
  cache.on(type, () => {
    told.count += 1;
  });
  return told;
};

describe("a shared tier that hangs", () => {
  it("delays a read that misses memory by one timeout, and one that hits memory by nothing", async () => {
    const { a, clock, line } = await start(1);
    await a.set("warm", "from memory");
    line.hang();
    const cold = timed(
      clock,
      a.getOrLoad("cold", () => "loaded"),
    );
    expect(
      await timed(
        clock,
        a.getOrLoad("warm", () => "loaded"),
      ),
    ).toEqual({ value: "from memory", took: 0 });
    await clock.advance(TIMEOUT);
    expect(await cold).toEqual({ value: "loaded", took: TIMEOUT });
    expect(a.peek("cold")).toBe("loaded");
  });

  it("makes get a miss and has false after one timeout, and never rejects", async () => {
    const { a, clock, line } = await start(1);
    line.hang();
    const reads = [timed(clock, a.get("k")), timed(clock, a.has("k")), timed(clock, a.getMany(["k", "l"]))] as const;
    await clock.advance(TIMEOUT);
    expect(await Promise.all(reads)).toEqual([
      { value: undefined, took: TIMEOUT },
      { value: false, took: TIMEOUT },
      { value: [undefined, undefined], took: TIMEOUT },
    ]);
    expect(a.stats().total.missReasons).toEqual({ error: 4 });
  });

  it("opens the breaker after the configured failures, and then costs nothing until the cooldown is over", async () => {
    const cluster = await start(1, { shared: { heartbeat: "1h" } });
    const { a, clock, line } = cluster;
    const down = heard(a, "tier-down");
    line.hang();
    for (let n = 1; n <= FAILURES; n += 1) {
      expect(a.stats().shared?.up).toBe(true);
      const read = timed(
        clock,
        a.getOrLoad(`k${n}`, () => n),
      );
      await clock.advance(TIMEOUT);
      expect(await read).toEqual({ value: n, took: TIMEOUT });
    }
    expect(a.stats().shared?.up).toBe(false);
    const asked = line.calls.read;
    for (let n = 0; n < 100; n += 1) {
      expect(
        await timed(
          clock,
          a.getOrLoad(`after ${n}`, () => n),
        ),
      ).toEqual({ value: n, took: 0 });
    }
    await clock.advance(COOLDOWN - 1);
    expect(
      await timed(
        clock,
        a.getOrLoad("last", () => "v"),
      ),
    ).toEqual({ value: "v", took: 0 });
    expect(line.calls.read).toBe(asked);
    expect(down.count).toBe(1);
  });

  it("is probed by one call at a time once the cooldown is over; the others pass it by", async () => {
    const cluster = await start(1, { shared: { heartbeat: "1h" } });
    const { a, clock, line } = cluster;
    await openBreaker(cluster);
    line.hang();
    await clock.advance(COOLDOWN);
    const asked = line.calls.read;
    const probe = timed(
      clock,
      a.getOrLoad("probe", () => "v"),
    );
    await clock.advance(0);
    expect(
      await timed(
        clock,
        a.getOrLoad("other", () => "v"),
      ),
    ).toEqual({ value: "v", took: 0 });
    expect(line.calls.read).toBe(asked + 1);
    await clock.advance(TIMEOUT);
    expect(await probe).toEqual({ value: "v", took: TIMEOUT });
    // The probe failed: another cooldown.
    await clock.advance(COOLDOWN - 1);
    expect(
      await timed(
        clock,
        a.getOrLoad("still", () => "v"),
      ),
    ).toEqual({ value: "v", took: 0 });
    expect(line.calls.read).toBe(asked + 1);
  });

  it("is used again by itself, without any read, one cooldown and one heartbeat after it healed", async () => {
    const cluster = await start(2);
    const { a, b, clock, line } = cluster;
    const up = heard(a, "tier-up");
    await openBreaker(cluster);
    line.hang();
    await clock.advance(10_000);
    expect(a.stats().shared?.up).toBe(false);
    line.heal();
    await clock.advance(COOLDOWN + HEARTBEAT + TIMEOUT);
    expect(a.stats().shared?.up).toBe(true);
    expect(up.count).toBe(1);
    await b.set("k", "v");
    expect(await a.get("k")).toBe("v");
  });

  it("recovers even if thousands of calls were under way when it hung and none of them ever ends", async () => {
    const { a, clock, line } = await start(1);
    line.hang();
    const reads: Promise<unknown>[] = [];
    // Each in a turn of its own, or they would go in one command.
    for (let n = 0; n < 1_500; n += 1) {
      reads.push(a.get(`k${n}`));
      await Promise.resolve();
      await Promise.resolve();
    }
    await clock.advance(TIMEOUT);
    await Promise.all(reads);
    expect(line.calls.read).toBeGreaterThan(1_000);
    line.heal();
    await clock.advance(COOLDOWN + HEARTBEAT);
    expect(a.stats().shared?.up).toBe(true);
    await a.set("k", "v");
  });

  it.each(["read", "acquire", "fill"] as const)(
    "at %s, adds one timeout to the load and gives its value",
    async (call) => {
      const stuck = new Set<string>();
      const schedule = (step: SharedStep): void => {
        if (!stuck.has(step.name)) queueMicrotask(() => step.run());
      };
      const { a, clock } = await start(1, {}, { schedule });
      stuck.add(call);
      const read = timed(
        clock,
        a.getOrLoad("k", () => "v"),
      );
      await clock.advance(TIMEOUT);
      expect(await read).toEqual({ value: "v", took: TIMEOUT });
      expect(a.peek("k")).toBe("v");
    },
  );

  it("while another process's load is waited for, is waited for one timeout more, and then the load goes on here", async () => {
    const { a, b, clock, line } = await start(2);
    const load = deferred<string>();
    const first = b.getOrLoad("k", () => load.promise);
    await clock.advance(0);
    const second = timed(
      clock,
      a.getOrLoad("k", () => "a's"),
    );
    await clock.advance(0);
    line.hang();
    // It asks again after a quarter of a second at the latest, and that is not answered.
    await clock.advance(250 + TIMEOUT);
    expect(await second).toEqual({ value: "a's", took: 250 + TIMEOUT });
    load.resolve("b's");
    expect(await first).toBe("b's");
  });

  it("does not hold up close", async () => {
    const { a, clock, line } = await start(1, {}, { disturb: (connection) => connection.hang() });
    line.hang();
    const closing = timed(clock, a.close());
    await clock.advance(10_000);
    expect(await closing).toEqual({ value: undefined, took: 0 });
  });

  it("does not hold up close for long even when it hangs at being closed", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const open = (name: string): SharedTier => ({
      ...server.factory().open(name),
      close: () => new Promise(() => undefined),
    });
    const cache = createCache({ tiers: [memory(), { kind: "hung", open }], clock });
    await clock.advance(0);
    const closing = timed(clock, cache.close());
    await clock.advance(10_000);
    expect(await closing).toEqual({ value: undefined, took: 5_000 });
  });
});

describe("a shared tier that is slow", () => {
  it("within the timeout: is waited for, at each of the three steps of a load", async () => {
    const { a, clock, line } = await start(1);
    line.slow(100, clock);
    const read = timed(
      clock,
      a.getOrLoad("k", () => "v"),
    );
    await clock.advance(300);
    expect(await read).toEqual({ value: "v", took: 300 });
    expect(a.stats().shared?.failures).toBe(0);
  });

  it("beyond the timeout: is the same as one that hangs, and its late answers do no harm", async () => {
    const { a, b, clock, line } = await start(2);
    await b.set("k", "stored");
    line.slow(TIMEOUT + 1, clock);
    const read = timed(
      clock,
      a.getOrLoad("k", () => "loaded"),
    );
    await clock.advance(TIMEOUT);
    expect(await read).toEqual({ value: "loaded", took: TIMEOUT });
    await clock.advance(1_000);
    expect(a.peek("k")).toBe("loaded");
  });
});

describe("a shared tier that refuses", () => {
  it("costs no time at all", async () => {
    const { a, clock, line } = await start(1);
    line.fail();
    expect(
      await timed(
        clock,
        a.getOrLoad("k", () => "v"),
      ),
    ).toEqual({ value: "v", took: 0 });
    expect(await timed(clock, a.get("other"))).toEqual({ value: undefined, took: 0 });
  });

  it("is told of with the operation and the client's own error", async () => {
    const { a, line } = await start(1);
    const told: { operation: string; cause: unknown }[] = [];
    a.on("tier-failed", ({ operation, error }) => told.push({ operation, cause: (error as Error).cause }));
    const refused = new Error("READONLY You can't write against a read only replica");
    line.fail(refused);
    await a.get("k");
    expect(told).toEqual([{ operation: "store.read", cause: refused }]);
  });

  it("by throwing instead of rejecting is the same", async () => {
    const { a, line } = await start(1);
    line.fail("not even an error");
    expect(await a.getOrLoad("k", () => "v")).toBe("v");
  });
});

describe("a shared tier whose answers are lost", () => {
  it("delays a read by one timeout and gives the loader's value", async () => {
    const { a, clock, line } = await start(1);
    line.loseAnswers();
    const read = timed(
      clock,
      a.getOrLoad("k", () => "v"),
    );
    await clock.advance(TIMEOUT);
    expect(await read).toEqual({ value: "v", took: TIMEOUT });
  });

  it("does not block the key for others longer than the lease whose grant was lost", async () => {
    const lost = new Set<string>();
    const schedule = (step: SharedStep): void => {
      if (step.kind === "reply" && lost.has(step.name)) return;
      queueMicrotask(() => step.run());
    };
    const { a, b, clock } = await start(2, { shared: { leaseTtl: "3s" } }, { schedule });
    lost.add("acquire");
    const first = timed(
      clock,
      a.getOrLoad("k", () => "a's"),
    );
    await clock.advance(TIMEOUT);
    expect(await first).toEqual({ value: "a's", took: TIMEOUT });
    lost.clear();
    // Half a second after it was given up, the grant that nobody heard of is given back.
    const second = timed(
      clock,
      b.getOrLoad("k", () => "b's"),
    );
    await clock.advance(5_000);
    expect(await second).toEqual({ value: "b's", took: 500 });
  });
});

describe("a shared tier that comes and goes", () => {
  it("never costs a read its value, nor more than a timeout", async () => {
    const { a, b, clock, line } = await start(2, { ttl: "1s" });
    let loads = 0;
    const states = [
      () => line.hang(),
      () => line.heal(),
      () => line.fail(),
      () => line.slow(600, clock),
      () => line.loseAnswers(),
    ];
    for (let round = 0; round < 40; round += 1) {
      states[round % states.length]?.();
      const read = timed(
        clock,
        a.getOrLoad(`k${round % 3}`, () => `v${(loads += 1)}`),
      );
      await clock.advance(4 * TIMEOUT);
      const { value, took } = await read;
      expect(value).toMatch(/^v\d+$/);
      expect(took).toBeLessThanOrEqual(3 * TIMEOUT);
    }
    line.heal();
    await clock.advance(COOLDOWN + HEARTBEAT + TIMEOUT);
    await b.set("k0", "b's");
    await clock.advance(0);
    expect(await a.get("k0")).toBe("b's");
  });
});

describe("a shared tier that restarted empty", () => {
  it("leaves reads to memory until the loss is found, and then to the loader", async () => {
    const { a, clock, server } = await start(1);
    await a.set("k", "v");
    server.flush();
    expect(
      await timed(
        clock,
        a.getOrLoad("k", () => "loaded"),
      ),
    ).toEqual({ value: "v", took: 0 });
    await clock.advance(HEARTBEAT);
    expect(a.stats().shared?.gaps).toBe(1);
    expect(
      await timed(
        clock,
        a.getOrLoad("k", () => "loaded"),
      ),
    ).toEqual({ value: "loaded", took: 0 });
    expect(await a.get("k")).toBe("loaded");
  });
});

describe("a shared tier that is down when the cache is made", () => {
  it.each(["hang", "fail"] as const)("(%s) delays nothing but its own calls, and heals by itself", async (how) => {
    const { a, b, clock, line, connections } = await start(2, {}, { disturb: (connection) => connection[how]() });
    const took = how === "hang" ? TIMEOUT : 0;
    const read = timed(
      clock,
      a.getOrLoad("k", () => "loaded"),
    );
    await clock.advance(TIMEOUT);
    expect(await read).toEqual({ value: "loaded", took });
    expect(a.peek("k")).toBe("loaded");
    const refused = timed(clock, a.set("s", "v"));
    // A write wants to know the log first: one timeout more.
    await clock.advance(TIMEOUT + PATIENCE);
    expect(await refused).toMatchObject({ error: { code: "ERR_CACHE_TIER" } });
    for (const connection of connections) connection.heal();
    await clock.advance(COOLDOWN + HEARTBEAT + TIMEOUT);
    expect(a.stats().shared?.up).toBe(true);
    await b.set("k", "b's");
    await clock.advance(HEARTBEAT);
    expect(a.peek("k")).toBeUndefined();
    expect(await a.get("k")).toBe("b's");
    expect(line.calls.subscribe).toBeGreaterThan(0);
  });

  it("is heard by push again once it lets itself be subscribed to", async () => {
    const { a, b, clock, connections } = await start(
      2,
      { shared: { heartbeat: "2s" } },
      { disturb: (connection) => connection.fail() },
    );
    await clock.advance(3_000);
    for (const connection of connections) connection.heal();
    await clock.advance(COOLDOWN + 2_000);
    await b.set("k", "old");
    expect(await a.get("k")).toBe("old");
    await b.invalidate({ key: "k" });
    await clock.advance(0);
    expect(a.peek("k")).toBeUndefined();
  });
});

describe("the source, with the shared tier down", () => {
  it("is asked once by all who overlap, and by no more at a time than the gate lets through", async () => {
    const cluster = await start(1, { loads: { concurrency: 3, queue: 100 } });
    const { a, clock, line } = cluster;
    line.fail();
    let active = 0;
    let most = 0;
    let loads = 0;
    const loader = async (): Promise<number> => {
      loads += 1;
      active += 1;
      most = Math.max(most, active);
      await new Promise<void>((resolve) => clock.after(10, resolve));
      active -= 1;
      return loads;
    };
    const reads = Array.from({ length: 300 }, (_, n) => a.getOrLoad(`k${n % 30}`, loader));
    await clock.advance(1_000);
    expect(await Promise.all(reads)).toHaveLength(300);
    expect(loads).toBe(30);
    expect(most).toBe(3);
  });

  it("is spared what does not fit in the queue: those get an error at once, or what is stale", async () => {
    const { a, clock, line } = await start(1, { ttl: "1s", staleIfError: "1h", loads: { concurrency: 1, queue: 1 } });
    await a.set("stale", "old");
    await clock.advance(1_001);
    line.fail();
    const slow = deferred<string>();
    const reads = ["1", "2"].map((key) => a.getOrLoad(key, () => slow.promise));
    await clock.advance(0);
    expect(
      await timed(
        clock,
        a.getOrLoad("3", () => "v"),
      ),
    ).toMatchObject({ error: { code: "ERR_CACHE_OVERLOADED" }, took: 0 });
    expect(
      await timed(
        clock,
        a.getOrLoad("stale", () => "v"),
      ),
    ).toEqual({ value: "old", took: 0 });
    slow.resolve("v");
    expect(await Promise.all(reads)).toEqual(["v", "v"]);
  });

  it("fails with the loader's own error, by identity", async () => {
    const { a, line } = await start(1);
    line.fail();
    const failure = new RangeError("no such user");
    await expect(a.getOrLoad("k", () => Promise.reject(failure))).rejects.toBe(failure);
  });
});

describe("a subscriber that is lost", () => {
  it("hears again what it missed when it is back, before the next heartbeat", async () => {
    const { a, b, clock, line } = await start(2, { shared: { heartbeat: "1h" } });
    await b.set("k", "old");
    await a.get("k");
    line.disconnect();
    await b.invalidate({ key: "k" });
    await clock.advance(100);
    expect(a.peek("k")).toBe("old");
    line.reconnect();
    await clock.advance(0);
    expect(a.peek("k")).toBeUndefined();
  });

  it("is found out by the heartbeat when nobody says so", async () => {
    const { a, b, clock, line } = await start(2);
    await b.set("k", "old");
    await a.get("k");
    line.dropPushes(true);
    await b.invalidate({ key: "k" });
    await clock.advance(HEARTBEAT);
    expect(a.peek("k")).toBeUndefined();
    expect(a.stats().shared?.gaps).toBe(0);
  });

  it("and cannot ask either: with maxStaleness, memory stops answering by itself", async () => {
    const { a, b, clock, line } = await start(2, { staleIfError: "1h", shared: { maxStaleness: "2s" } });
    await b.set("k", "old");
    await a.get("k");
    line.dropPushes(true);
    line.hang();
    await b.invalidate({ key: "k" });
    await clock.advance(2_001);
    const failure = new Error("source down");
    const read = timed(
      clock,
      a.getOrLoad("k", () => Promise.reject(failure)),
    );
    await clock.advance(TIMEOUT);
    expect((await read).error).toBe(failure);
  });

  it("has the next push fill the hole that lost ones left", async () => {
    const { a, b, clock, line } = await start(2, { shared: { heartbeat: "1h" } });
    await b.setMany([
      ["k", "old"],
      ["l", "old"],
    ]);
    await a.getMany(["k", "l"]);
    line.dropPushes(true);
    await b.invalidate({ key: "k" });
    line.dropPushes(false);
    expect(a.peek("k")).toBe("old");
    await b.invalidate({ key: "l" });
    await clock.advance(0);
    expect(a.peek("k")).toBeUndefined();
    expect(a.peek("l")).toBeUndefined();
  });
});

import { describe, expect, it, onTestFinished } from "vitest";

import type { Cache } from "../src/index.js";
import { processes } from "./support/processes.js";
import { COOLDOWN, failingTier, HEARTBEAT, openBreaker, PATIENCE, timed, TIMEOUT } from "./support/failing-tier.js";

const start = failingTier();

describe("a write that is not acknowledged", () => {
  const writes: readonly [string, (cache: Cache) => Promise<unknown>][] = [
    ["set", (cache) => cache.set("k", "new", { tags: ["t"] })],
    ["setMany", (cache) => cache.setMany([["k", "new"]])],
    ["delete", (cache) => cache.delete("k")],
    ["deleteMany", (cache) => cache.deleteMany(["k"])],
    ["invalidate by key", (cache) => cache.invalidate({ key: "k" })],
    ["invalidate by tag", (cache) => cache.invalidate({ tag: "t" })],
    ["invalidate by prefix", (cache) => cache.invalidate({ prefix: "k" })],
    ["invalidate by pattern", (cache) => cache.invalidate({ pattern: "k*" })],
    ["invalidate by all its tags", (cache) => cache.invalidate({ tags: ["t", "u"], match: "all" })],
    ["invalidate all", (cache) => cache.invalidate({ all: true })],
  ];

  it.each(writes)(
    "%s: rejects with ERR_CACHE_TIER, and this process serves the old value from nowhere",
    async (_name, write) => {
      for (const how of ["hang", "fail", "loseAnswers"] as const) {
        const { a, b, clock, line } = await start(2);
        await b.set("k", "old", { tags: ["t", "u"] });
        expect(await a.get("k")).toBe("old");
        line[how]();
        const writing = timed(clock, write(a));
        await clock.advance(PATIENCE);
        expect(await writing).toMatchObject({ error: { code: "ERR_CACHE_TIER" }, took: how === "fail" ? 0 : PATIENCE });
        expect(a.peek("k")).toBeUndefined();
        const during = a.get("k");
        await clock.advance(TIMEOUT);
        expect(await during).toBeUndefined();
        // R10: healed, but not sent again yet: what is in the shared tier is not believed.
        line.heal();
        expect(await a.get("k")).toBeUndefined();
        expect(await a.getOrLoad("k", () => "loaded")).toBe("loaded");
        expect(a.stats().shared?.unsent).toBe(1);
        await clock.advance(COOLDOWN + 2 * HEARTBEAT);
        expect(a.stats().shared?.unsent).toBe(0);
        expect(await b.get("k")).not.toBe("old");
        expect(b.peek("k")).not.toBe("old");
        expect(await a.get("k")).not.toBe("old");
      }
    },
  );

  it("expire: rejects, and the old value is stale here", async () => {
    const { a, b, clock, line } = await start(2, { staleIfError: "1h" });
    await b.set("k", "old");
    await a.get("k");
    line.fail();
    await expect(a.expire("k")).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect(a.peek("k")).toBeUndefined();
    expect(await a.get("k", { stale: true })).toBe("old");
    line.heal();
    await clock.advance(COOLDOWN + HEARTBEAT);
    expect(b.peek("k")).toBeUndefined();
    expect(await b.get("k")).toBeUndefined();
    expect(await b.get("k", { stale: true })).toBe("old");
  });

  it("writeThrough: gives what was written, for it was, and forgets the entry", async () => {
    for (const how of ["hang", "fail", "loseAnswers"] as const) {
      const { a, b, clock, line } = await start(2);
      await b.set("k", "old");
      await a.get("k");
      line[how]();
      const writing = timed(
        clock,
        a.writeThrough("k", async () => "new"),
      );
      await clock.advance(10_000);
      const { value, error, took } = await writing;
      expect({ value, error }).toEqual({ value: "new", error: undefined });
      // The lease, the commit and the invalidation, each in its time.
      expect(took).toBeLessThanOrEqual(2 * TIMEOUT + PATIENCE);
      expect(a.peek("k")).toBeUndefined();
      line.heal();
      await clock.advance(COOLDOWN + 2 * HEARTBEAT);
      expect(await b.get("k")).not.toBe("old");
    }
  });

  it("is not sent after the one who wrote later has been heard: it takes away, it never brings back", async () => {
    const { a, b, clock, line } = await start(2);
    line.fail();
    await expect(a.set("k", "a's")).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    await b.set("k", "b's");
    line.heal();
    await clock.advance(COOLDOWN + 2 * HEARTBEAT);
    expect([undefined, "b's"]).toContain(await a.get("k"));
    expect([undefined, "b's"]).toContain(await b.get("k"));
  });

  it("stays in a bounded queue: ten thousand of them become one for everything", async () => {
    const cluster = await start(2);
    const { a, b, clock, line } = cluster;
    await b.set("unrelated", "v");
    await openBreaker(cluster);
    line.fail();
    for (let n = 0; n < 11; n += 1) {
      const keys = Array.from({ length: 1_000 }, (_, m) => `k${n}:${m}`);
      await expect(a.invalidate({ keys })).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    }
    expect(a.stats().shared?.unsent).toBe(1);
    line.heal();
    await clock.advance(COOLDOWN + 2 * HEARTBEAT);
    expect(a.stats().shared?.unsent).toBe(0);
    expect(await b.get("unrelated")).toBeUndefined();
  });
});

it("what is set right after the server began anew is kept there", async () => {
  const { caches, server, close } = await processes(2);
  onTestFinished(close);
  const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
  await a.set("before", 1);
  server.flush();
  // The heartbeat has not told of the new generation yet.
  await a.setMany([
    ["k", "v"],
    ["l", "w"],
  ]);
  expect(await b.getMany(["k", "l"])).toEqual(["v", "w"]);
});

describe("what is more than one step should take", () => {
  const ids = Array.from({ length: 2_500 }, (_, id) => id);

  it("is several, none larger than a server takes", async () => {
    const { caches, close } = await processes(1);
    const [cache] = caches as [Cache];
    const users = cache.entity<number, string>({ name: "user", version: 2, dependents: true });
    const sizes: number[] = [];
    cache.on("invalidated", ({ names }) => sizes.push(names.length));
    await users.invalidateMany(ids);
    expect(sizes).toEqual([4_001, 4_001, 2_001]);
    await close();
  });

  it.each<[string, (cache: Cache) => Promise<unknown>]>([
    ["deleteMany", (cache) => cache.deleteMany(ids)],
    ["setMany", (cache) => cache.setMany(ids.map((id) => [id, "new"]))],
    ["invalidateMany", (cache) => cache.entity<number, string>({ name: "user" }).invalidateMany(ids)],
  ])("%s: is kept to be sent again as a whole, whichever part is not acknowledged", async (_name, invalidate) => {
    const { caches, connections, clock, close } = await processes(1);
    const [cache] = caches as [Cache];
    connections[0]?.fail();
    await expect(invalidate(cache)).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect(cache.stats().shared?.unsent).toBe(3);
    connections[0]?.heal();
    await clock.advance(10_000);
    expect(cache.stats().shared?.unsent).toBe(0);
    await close();
  });
});

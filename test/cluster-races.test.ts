import { afterEach, describe, expect, it } from "vitest";

import { createCache, memory, type Cache } from "../src/index.js";
import { FakeClock, SharedMemory, type SharedStep } from "../src/testing/index.js";
import { deferred } from "./support/deferred.js";
import { alone, processes, type Processes } from "./support/processes.js";

let running: Processes | undefined;

async function start(...args: Parameters<typeof processes>): Promise<Processes & { a: Cache; b: Cache }> {
  running = await processes(...args);
  const [a, b] = running.caches;
  return { ...running, a: a as Cache, b: (b ?? a) as Cache };
}

afterEach(async () => {
  await running?.close();
  running = undefined;
});

/** Holds back the steps it is told to, until `release`. */
function valve(): {
  schedule: (step: SharedStep) => void;
  hold: (kind: SharedStep["kind"], name: string) => void;
  release: () => void;
} {
  const held: SharedStep[] = [];
  let holds: { kind: string; name: string } | undefined;
  return {
    schedule: (step) => {
      if (holds !== undefined && step.kind === holds.kind && step.name === holds.name) held.push(step);
      else queueMicrotask(() => step.run());
    },
    hold: (kind, name) => {
      holds = { kind, name };
    },
    release: () => {
      holds = undefined;
      for (const step of held.splice(0)) step.run();
    },
  };
}

/** Entries soon stale that may be served while they are refreshed. */
const STALE_OK = { ttl: "1s", staleWhileRevalidate: "1h" } as const;

describe("a load that has already answered with a stale value", () => {
  it("answers nobody who comes after a hard invalidation of the value's tag", async () => {
    const { a, clock, settle } = await start(1, STALE_OK);
    await a.set("k", "old", { tags: ["t"] });
    await clock.advance(1_001);
    const refresh = deferred<string>();
    expect(await a.getOrLoad("k", () => refresh.promise, { tags: ["t"] })).toBe("old");
    await settle();
    await a.invalidate({ tag: "t" });
    const read = a.getOrLoad("k", () => "new", { tags: ["t"] });
    await settle();
    refresh.resolve("old too");
    expect(await read).toBe("new");
    await settle();
    expect(a.peek("k")).toBe("new");
  });

  it("nor anybody who joined it after that invalidation, before it answered", async () => {
    const gate = valve();
    const { a, b, clock, settle } = await start(2, STALE_OK, gate);
    await a.set("k", "old", { tags: ["t"] });
    await clock.advance(1_001);
    gate.hold("reply", "read");
    const before = b.getOrLoad("k", () => "new", { tags: ["t"] });
    await settle();
    await b.invalidate({ tag: "t" });
    const after = b.getOrLoad("k", () => "new", { tags: ["t"] });
    gate.release();
    expect(await before).toBe("old");
    expect(await after).toBe("new");
    await settle();
    expect(await b.get("k")).toBe("new");
  });

  it("answers those who come after a soft one, for that is what soft means", async () => {
    const { a, clock, settle } = await start(1, STALE_OK);
    await a.set("k", "old", { tags: ["t"] });
    await clock.advance(1_001);
    const refresh = deferred<string>();
    void a.getOrLoad("k", () => refresh.promise, { tags: ["t"] });
    await settle();
    await a.invalidate({ tag: "t" }, { mode: "soft" });
    expect(await a.getOrLoad("k", () => "new", { tags: ["t"] })).toBe("old");
    refresh.resolve("newer");
    await settle();
  });
});

describe("a tag invalidated while a value is being written", () => {
  it.each([{ tag: "t" }, { prefix: "k" }, { pattern: "k*" }, { all: true } as const])(
    "%o during writeThrough leaves the value in no tier of any process",
    async (target) => {
      for (const by of ["a", "b"] as const) {
        const { a, b, settle, close } = await start(2);
        const write = deferred<string>();
        const writing = a.writeThrough("k", () => write.promise, { tags: ["t"] });
        await settle();
        await (by === "a" ? a : b).invalidate(target);
        write.resolve("old");
        expect(await writing).toBe("old");
        await settle();
        expect(a.peek("k")).toBeUndefined();
        expect(await a.get("k")).toBeUndefined();
        expect(await b.get("k")).toBeUndefined();
        await close();
      }
      running = undefined;
    },
  );

  it("holds without a shared tier too", async () => {
    const { cache, clock } = alone();
    const write = deferred<string>();
    const writing = cache.writeThrough("k", () => write.promise, { tags: ["t"] });
    await clock.advance(0);
    await cache.invalidate({ tag: "t" });
    write.resolve("old");
    await writing;
    expect(cache.peek("k")).toBeUndefined();
  });

  it("leaves a set that was on its way in memory only if the shared tier believes it as well", async () => {
    const gate = valve();
    const { a, b, settle } = await start(2, {}, gate);
    gate.hold("request", "put");
    const setting = a.set("k", "old", { tags: ["t"] });
    await settle();
    await b.invalidate({ tag: "t" });
    gate.release();
    await setting;
    await settle();
    expect(a.peek("k")).toBe(await b.get("k"));
  });
});

describe("a cache that has just been made", () => {
  it("stores what is set before it has first reached the log, for every process", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const make = (): Cache => createCache({ name: "test", tiers: [memory(), server.factory()], clock });
    const a = make();
    await a.set("k", "v");
    const b = make();
    expect(await b.get("k")).toBe("v");
    expect(a.peek("k")).toBe("v");
    await Promise.all([a.close(), b.close()]);
  });

  it("does not forget an invalidation of its own when it reaches the log after it", async () => {
    const gate = valve();
    const clock = new FakeClock();
    const server = new SharedMemory({ clock, schedule: gate.schedule });
    gate.hold("reply", "rules");
    const a = createCache({ name: "test", tiers: [memory(), server.factory()], clock });
    await clock.advance(0);
    await a.getOrLoad("k", () => "old", { tags: ["t"] });
    expect(a.peek("k")).toBe("old");
    await a.invalidate({ tag: "t" });
    expect(await a.getOrLoad("other", () => "v", { tags: ["u"] })).toBe("v");
    gate.release();
    await clock.advance(0);
    expect(a.peek("k")).toBeUndefined();
    expect(await a.get("k")).toBeUndefined();
    expect(a.peek("other")).toBe("v");
    await a.close();
  });
});

describe("a process that finds the log lost", () => {
  it("does not forget an invalidation of its own that was acknowledged meanwhile", async () => {
    const gate = valve();
    const { a, clock, server, connections, settle } = await start(2, { shared: { heartbeat: "500ms" } }, gate);
    connections[0]?.dropPushes(true);
    server.flush();
    gate.hold("reply", "rules");
    await clock.advance(500);
    await a.getOrLoad("k", () => "old", { tags: ["t"] });
    await a.invalidate({ tag: "t" });
    gate.release();
    await settle();
    expect(a.stats().shared?.gaps).toBe(1);
    expect(a.peek("k")).toBeUndefined();
    expect(await a.get("k")).toBeUndefined();
  });

  it("does not serve on error what the shared tier no longer has: it may be what was invalidated", async () => {
    const { a, b, clock, server, connections } = await start(2, { staleIfError: "1h", shared: { heartbeat: "500ms" } });
    await a.set("k", "old");
    expect(await b.get("k")).toBe("old");
    connections[1]?.dropPushes(true);
    await a.invalidate({ key: "k" });
    server.trimLog();
    await clock.advance(600);
    const failure = new Error("source down");
    await expect(b.getOrLoad("k", () => Promise.reject(failure))).rejects.toBe(failure);
  });

  it("does not serve on error what it has itself invalidated, even if nobody can be asked any more", async () => {
    const { a, clock, server, connections } = await start(1, { staleIfError: "1h", shared: { heartbeat: "500ms" } });
    await a.set("k", "old", { tags: ["t"] });
    await a.invalidate({ tag: "t" });
    server.flush();
    await clock.advance(500);
    expect(a.stats().shared?.gaps).toBe(1);
    connections[0]?.fail();
    const failure = new Error("source down");
    await expect(a.getOrLoad("k", () => Promise.reject(failure))).rejects.toBe(failure);
  });

  it("serves on error what the shared tier still has", async () => {
    const { a, b, clock, server, connections } = await start(2, {
      ttl: "1s",
      staleIfError: "1h",
      shared: { heartbeat: "500ms" },
    });
    await a.set("k", "old");
    expect(await b.get("k")).toBe("old");
    connections[1]?.dropPushes(true);
    await a.invalidate({ key: "another" });
    server.trimLog();
    await clock.advance(1_600);
    expect(await b.getOrLoad("k", () => Promise.reject(new Error("source down")))).toBe("old");
  });
});

describe("R7: an invalidation whose mark the shared tier had to forget", () => {
  it("stays in force: what is older counts as forgotten, what is newer as good", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock, maxMarks: 3, maxRules: 1 });
    const make = (): Cache => createCache({ name: "test", tiers: [memory(), server.factory()], clock });
    const a = make();
    await clock.advance(0);
    await a.set("k", "old", { tags: ["t"] });
    await a.invalidate({ tag: "t" });
    for (let n = 0; n < 10; n += 1) await a.invalidate({ tag: `another ${n}` });
    await a.set("fine", "v", { tags: ["t"] });
    const late = make();
    await clock.advance(0);
    expect(await late.get("k")).toBeUndefined();
    expect(late.stats().total.missReasons).toEqual({ forgotten: 1 });
    expect(await late.get("fine")).toBe("v");
    expect(await late.getOrLoad("k", () => "new", { tags: ["t"] })).toBe("new");
    expect(await a.get("k")).toBe("new");
    await Promise.all([a.close(), late.close()]);
  });
});

describe("an invalidation that is not acknowledged", () => {
  it.each([{ key: "k" }, { tag: "t" }] as const)(
    "%o keeps a write that is on its way out of this memory",
    async (target) => {
      const gate = valve();
      const { a, b, settle, connections } = await start(2, {}, gate);
      for (const write of ["through", "set"] as const) {
        gate.hold("request", write === "set" ? "put" : "commit");
        const options = { tags: ["t"] };
        const writing = write === "set" ? a.set("k", "old", options) : a.writeThrough("k", async () => "old", options);
        await settle();
        connections[0]?.fail();
        await expect(a.invalidate(target)).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
        // The log moves on, so the write's own record is newer than anything this process could know of.
        await b.invalidate({ key: "another" });
        await b.invalidate({ key: "another" });
        gate.release();
        await writing;
        expect(a.peek("k")).toBeUndefined();
        connections[0]?.heal();
        expect(await a.get("k")).toBeUndefined();
      }
    },
  );

  it("drops what this process holds even if the log of which it has heard is older than the entry", async () => {
    const { a, b, clock, connections, settle } = await start(2, { shared: { heartbeat: "1h" } });
    // a has heard of nothing since it began; the entry it reads is known good up to b's newest record.
    connections[0]?.dropPushes(true);
    for (let n = 0; n < 5; n += 1) await b.invalidate({ tag: `another ${n}` });
    await b.set("k", "old", { tags: ["t"] });
    await b.set("l", "old", { tags: ["t"] });
    await settle();
    expect(await a.get("k")).toBe("old");
    expect(await a.get("l")).toBe("old");
    expect(a.peek("k")).toBe("old");
    connections[0]?.hang();
    const byKey = a.invalidate({ key: "k" });
    const byTag = a.invalidate({ tag: "t" });
    const outcomes = Promise.allSettled([byKey, byTag]);
    await clock.advance(1_000);
    expect((await outcomes).map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
    expect(a.peek("k")).toBeUndefined();
    expect(a.peek("l")).toBeUndefined();
  });
});

import { afterEach, describe, expect, it } from "vitest";

import type { SharedStep } from "../src/testing/index.js";
import { deferred } from "./support/deferred.js";
import { processes, type Processes } from "./support/processes.js";

let running: Processes | undefined;

async function start(...args: Parameters<typeof processes>): Promise<Processes> {
  running = await processes(...args);
  return running;
}

afterEach(async () => {
  await running?.close();
  running = undefined;
});

describe("R1: a load that read before a write does not store after it", () => {
  it("refuses the fill in the shared tier and in memory, and gives the caller its value", async () => {
    const { caches, settle } = await start(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const load = deferred<string>();
    const read = a.getOrLoad("k", () => load.promise);
    await settle();
    await b.invalidate({ key: "k" });
    load.resolve("old");
    expect(await read).toBe("old");
    await settle();
    expect(a.peek("k")).toBeUndefined();
    expect(await a.get("k")).toBeUndefined();
    expect(await b.get("k")).toBeUndefined();
    expect(await b.getOrLoad("k", () => "new")).toBe("new");
    expect(a.stats().total.refused.fenced).toBe(1);
  });

  it("holds when the invalidation is this process's own", async () => {
    const { caches, settle } = await start(1);
    const [a] = caches as [(typeof caches)[0]];
    const load = deferred<string>();
    const read = a.getOrLoad("k", () => load.promise);
    await settle();
    await a.invalidate({ key: "k" });
    load.resolve("old");
    await read;
    expect(await a.get("k")).toBeUndefined();
  });

  it("holds for a value that was set meanwhile: the late load does not overwrite it", async () => {
    const { caches, settle } = await start(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const load = deferred<string>();
    const read = a.getOrLoad("k", () => load.promise);
    await settle();
    await b.set("k", "set");
    load.resolve("old");
    expect(await read).toBe("old");
    expect(await a.get("k")).toBe("set");
    expect(await b.get("k")).toBe("set");
  });
});

describe("R2: a read that starts after an acknowledged invalidation joins no earlier load", () => {
  it.each([{ key: "k" }, { tag: "t" }, { prefix: "k" }, { pattern: "k*" }, { all: true } as const])(
    "after %o",
    async (target) => {
      const { caches, settle } = await start(1);
      const [a] = caches as [(typeof caches)[0]];
      const old = deferred<string>();
      const first = a.getOrLoad("k", () => old.promise, { tags: ["t"] });
      await settle();
      await a.invalidate(target);
      const second = a.getOrLoad("k", () => "new", { tags: ["t"] });
      old.resolve("old");
      expect(await first).toBe("old");
      expect(await second).toBe("new");
      expect(await a.get("k")).toBe("new");
    },
  );

  it("but joins one that an invalidation of something else has not touched", async () => {
    const { caches, settle } = await start(1);
    const [a] = caches as [(typeof caches)[0]];
    const load = deferred<string>();
    let loads = 0;
    const loader = (): Promise<string> => {
      loads += 1;
      return load.promise;
    };
    const first = a.getOrLoad("k", loader, { tags: ["t"] });
    await settle();
    await a.invalidate({ tag: "another" });
    const second = a.getOrLoad("k", loader, { tags: ["t"] });
    load.resolve("v");
    expect(await Promise.all([first, second])).toEqual(["v", "v"]);
    expect(loads).toBe(1);
  });
});

describe("R3: a value read from the shared tier before an invalidation is not put in memory after it", () => {
  it("returns it and stores nothing", async () => {
    const held: SharedStep[] = [];
    let holdReplies = false;
    const schedule = (step: SharedStep): void => {
      if (holdReplies && step.kind === "reply" && step.name === "read") held.push(step);
      else queueMicrotask(() => step.run());
    };
    const { caches, settle } = await start(2, {}, { schedule });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "old");
    await settle();
    holdReplies = true;
    const read = b.get("k");
    await settle();
    expect(held).toHaveLength(1);
    await a.invalidate({ key: "k" });
    await settle();
    holdReplies = false;
    held[0]?.run();
    expect(await read).toBe("old");
    expect(b.peek("k")).toBeUndefined();
    expect(await b.get("k")).toBeUndefined();
  });
});

describe("R5: a tag invalidated while a tagged load runs hits the entry that is stored after it", () => {
  it.each(["given with the call", "decided by the loader"])("with the tag %s", async (how) => {
    const { caches, settle } = await start(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const load = deferred<string>();
    const byCall = how === "given with the call";
    const read = a.getOrLoad(
      "k",
      async (context) => {
        const value = await load.promise;
        if (!byCall) context.tags("team:7");
        return value;
      },
      byCall ? { tags: ["team:7"] } : {},
    );
    await settle();
    await b.invalidate({ tag: "team:7" });
    load.resolve("old");
    expect(await read).toBe("old");
    await settle();
    expect(a.peek("k")).toBeUndefined();
    expect(await a.get("k")).toBeUndefined();
    expect(await b.get("k")).toBeUndefined();
  });
});

describe("R8: a lease whose holder died does not block its key", () => {
  it("is taken over when it runs out", async () => {
    const { caches, clock, connections } = await start(2, { shared: { leaseTtl: "5s" } });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const dead = a.getOrLoad("k", () => new Promise<string>(() => undefined), { hardTimeout: "10m" });
    dead.catch(() => undefined);
    await clock.advance(0);
    // Dead: it renews nothing and hears nothing.
    connections[0]?.hang();
    let loads = 0;
    const read = b.getOrLoad("k", () => {
      loads += 1;
      return "v";
    });
    await clock.advance(4_000);
    expect(loads).toBe(0);
    await clock.advance(1_500);
    expect(await read).toBe("v");
    expect(loads).toBe(1);
  });

  it("is kept by renewal while its loader runs, however long", async () => {
    const { caches, clock } = await start(2, { shared: { leaseTtl: "1s" }, hardTimeout: "60s" });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const load = deferred<string>();
    const first = a.getOrLoad("k", () => load.promise);
    await clock.advance(0);
    let loads = 0;
    const second = b.getOrLoad("k", () => {
      loads += 1;
      return "b's";
    });
    await clock.advance(20_000);
    load.resolve("a's");
    await clock.advance(10);
    expect(await first).toBe("a's");
    expect(await second).toBe("a's");
    expect(loads).toBe(0);
  });
});

describe("R9: a loader that outlives its lease does not overwrite the load that took over", () => {
  it("is refused in both tiers", async () => {
    const { caches, clock, connections, settle } = await start(2, { shared: { leaseTtl: "1s" }, hardTimeout: "60s" });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const load = deferred<string>();
    const late = a.getOrLoad("k", () => load.promise);
    await settle();
    connections[0]?.hang();
    await clock.advance(1_500);
    expect(await b.getOrLoad("k", () => "newer")).toBe("newer");
    connections[0]?.heal();
    await clock.advance(3_000);
    load.resolve("older");
    expect(await late).toBe("older");
    expect(await b.get("k")).toBe("newer");
    expect(await a.get("k")).toBe("newer");
  });
});

describe("promise 1: one load", () => {
  it("for a thousand overlapping readers in ten processes", async () => {
    const { caches, clock } = await start(10);
    let loads = 0;
    const load = deferred<string>();
    const reads = caches.flatMap((cache) =>
      Array.from({ length: 100 }, () =>
        cache.getOrLoad("k", () => {
          loads += 1;
          return load.promise;
        }),
      ),
    );
    await clock.advance(100);
    load.resolve("v");
    await clock.advance(1);
    expect(new Set(await Promise.all(reads))).toEqual(new Set(["v"]));
    expect(loads).toBe(1);
  });
});

describe("promise 2: no value outlives its invalidation", () => {
  it.each([
    { key: "team:7:list" },
    { keys: ["team:7:list"] },
    { tag: "t" },
    { tags: ["t", "u"], match: "all" } as const,
    { tags: ["x", "t"], match: "any" } as const,
    { prefix: "team:7:" },
    { pattern: "team:*:list" },
    { all: true } as const,
  ])("%o: gone from the shared tier at once and from every memory after the bus delay", async (target) => {
    const { caches, settle } = await start(3);
    const [a, b, c] = caches as [(typeof caches)[0], (typeof caches)[0], (typeof caches)[0]];
    await a.set("team:7:list", "old", { tags: ["t", "u"] });
    await settle();
    expect(await b.get("team:7:list")).toBe("old");
    expect(await c.get("team:7:list")).toBe("old");
    await a.invalidate(target);
    expect(a.peek("team:7:list")).toBeUndefined();
    await settle();
    expect(b.peek("team:7:list")).toBeUndefined();
    expect(await b.get("team:7:list")).toBeUndefined();
    expect(await c.get("team:7:list")).toBeUndefined();
  });

  it.each([{ tag: "t" }, { prefix: "k" }, { pattern: "k*" }, { all: true } as const])(
    "%o is seen in the shared tier by a process that has lost every message",
    async (target) => {
      const { caches, connections, settle } = await start(2);
      const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
      connections[1]?.dropPushes(true);
      await a.set("k", "old", { tags: ["t"] });
      await settle();
      await a.invalidate(target);
      expect(await b.get("k")).toBeUndefined();
    },
  );

  it("a process that lost every message finds out at the next heartbeat", async () => {
    const { caches, connections, clock } = await start(2, { shared: { heartbeat: "500ms" } });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "old");
    expect(await b.get("k")).toBe("old");
    connections[1]?.dropPushes(true);
    await a.invalidate({ key: "k" });
    await clock.advance(600);
    expect(b.peek("k")).toBeUndefined();
  });

  it("with maxStaleness, nobody joins a load that began longer ago than anything was heard", async () => {
    const { caches, connections, clock } = await start(2, { shared: { maxStaleness: "2s" } });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const old = deferred<string>();
    const first = b.getOrLoad("k", () => old.promise);
    await clock.advance(0);
    connections[1]?.hang();
    connections[1]?.dropPushes(true);
    await a.invalidate({ key: "k" });
    // Within the bound it may be joined: nobody there can know.
    await clock.advance(1_500);
    const within = b.getOrLoad("k", () => "new");
    await clock.advance(1_500);
    const past = b.getOrLoad("k", () => "new");
    await clock.advance(1_000);
    old.resolve("old");
    await clock.advance(1_000);
    expect(await Promise.all([first, within, past])).toEqual(["old", "old", "new"]);
  });

  it("with maxStaleness, memory stops answering when nothing is heard at all", async () => {
    const { caches, connections, clock } = await start(2, { shared: { maxStaleness: "2s" }, staleIfError: "1h" });
    const [, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await b.getOrLoad("k", () => "v");
    await clock.advance(1_000);
    expect(b.peek("k")).toBe("v");
    connections[1]?.hang();
    await clock.advance(2_100);
    expect(b.peek("k")).toBeUndefined();
    expect(b.stats().total.missReasons.suspect).toBe(1);
    let loads = 0;
    const read = b.getOrLoad("k", () => `v${(loads += 1)}`);
    await clock.advance(1_000);
    expect(await read).toBe("v1");
  });

  it("an older log entry than the log reaches back to makes memory suspect, not wrong", async () => {
    const { caches, connections, clock, server } = await start(2, { shared: { heartbeat: "500ms" } });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "old");
    await a.set("other", "kept");
    expect(await b.get("k")).toBe("old");
    expect(await b.get("other")).toBe("kept");
    connections[1]?.dropPushes(true);
    await a.invalidate({ key: "k" });
    server.trimLog();
    await clock.advance(600);
    expect(b.stats().shared?.gaps).toBe(1);
    expect(b.peek("k")).toBeUndefined();
    expect(await b.get("k")).toBeUndefined();
    // Checked against the shared tier, it is good again without a load.
    expect(b.peek("other")).toBeUndefined();
    expect(await b.get("other")).toBe("kept");
    expect(b.peek("other")).toBe("kept");
  });

  it("a shared tier restarted empty leaves no process with what it had invalidated", async () => {
    const { caches, clock, server, connections } = await start(2, { shared: { heartbeat: "500ms" } });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "old", { tags: ["t"] });
    expect(await b.get("k")).toBe("old");
    connections[1]?.dropPushes(true);
    await a.invalidate({ tag: "t" });
    server.flush();
    await clock.advance(1_100);
    expect(b.peek("k")).toBeUndefined();
    expect(await b.get("k")).toBeUndefined();
  });

  it("an entry stored by a process started earlier is judged by marks older than this process", async () => {
    const { caches, clock, server, settle } = await start(1);
    const [a] = caches as [(typeof caches)[0]];
    await a.set("k", "old", { tags: ["t"] });
    await a.set("fine", "v", { tags: ["u"] });
    await a.invalidate({ tag: "t" });
    await a.invalidate({ pattern: "nothing:*" });
    const { createCache, memory } = await import("../src/index.js");
    const late = createCache({ name: "test", tiers: [memory(), server.factory()], clock });
    await settle();
    expect(await late.get("k")).toBeUndefined();
    expect(late.stats().total.missReasons["invalidated-tag"]).toBe(1);
    expect(await late.get("fine")).toBe("v");
    const closing = late.close();
    await clock.advance(10_000);
    await closing;
  });
});

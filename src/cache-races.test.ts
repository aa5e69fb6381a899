import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { deferred, type Deferred } from "../test/support/deferred.js";
import { oneCache } from "../test/support/one-cache.js";
import type { InvalidationTarget } from "./api.js";

const start = oneCache();

const TARGETS: InvalidationTarget[] = [
  { key: "a:k" },
  { keys: ["x", "a:k"] },
  { tag: "t" },
  { tags: ["t", "u"], match: "all" },
  { prefix: "a" },
  { prefix: "a:" },
  { pattern: "a:*" },
  { all: true },
];

describe("R1: a load that began before an invalidation stores nothing after it", () => {
  it.each(TARGETS)("%o", async (target) => {
    const { cache, clock } = start();
    const load = deferred<string>();
    const read = cache.getOrLoad("a:k", () => load.promise, { tags: ["t", "u"] });
    await clock.advance(0);
    await cache.invalidate(target);
    load.resolve("old");
    expect(await read).toBe("old");
    expect(cache.peek("a:k")).toBeUndefined();
    expect(await cache.getOrLoad("a:k", () => "new")).toBe("new");
  });

  it.each(["delete", "expire", "set", "setMany", "refresh", "writeThrough"] as const)("nor after %s", async (how) => {
    const { cache, clock } = start();
    const load = deferred<string>();
    const read = cache.getOrLoad("k", () => load.promise);
    await clock.advance(0);
    switch (how) {
      case "delete":
        await cache.delete("k");
        break;
      case "expire":
        await cache.expire("k");
        break;
      case "set":
        await cache.set("k", "new");
        break;
      case "setMany":
        await cache.setMany([["k", "new"]]);
        break;
      case "refresh":
        await cache.refresh("k", () => "new");
        break;
      case "writeThrough":
        await cache.writeThrough("k", async () => "new");
    }
    load.resolve("old");
    expect(await read).toBe("old");
    expect(await cache.get("k")).toBe(how === "delete" || how === "expire" ? undefined : "new");
    expect(cache.stats().total.refused.fenced).toBe(1);
  });

  it("but a load that began after it does, while the older one still runs", async () => {
    const { cache, clock } = start();
    const old = deferred<string>();
    const first = cache.getOrLoad("k", () => old.promise);
    await clock.advance(0);
    await cache.delete("k");
    expect(await cache.getOrLoad("k", () => "new")).toBe("new");
    old.resolve("old");
    expect(await first).toBe("old");
    expect(cache.peek("k")).toBe("new");
  });

  it("a load that still waited at the gate when it was invalidated began after it", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 } });
    const other = deferred<string>();
    const running = cache.getOrLoad("other", () => other.promise);
    await clock.advance(0);
    const read = cache.getOrLoad("k", () => "new", { tags: ["t"] });
    await clock.advance(0);
    await cache.invalidate([{ key: "k" }, { tag: "t" }]);
    other.resolve("v");
    await running;
    expect(await read).toBe("new");
    expect(cache.peek("k")).toBe("new");
  });
});

describe("R2: a read that starts after an invalidation joins no load from before it", () => {
  it.each(TARGETS)("%o", async (target) => {
    const { cache, clock } = start();
    const old = deferred<string>();
    const first = cache.getOrLoad("a:k", () => old.promise, { tags: ["t", "u"] });
    await clock.advance(0);
    await cache.invalidate(target);
    const second = cache.getOrLoad("a:k", () => "new", { tags: ["t", "u"] });
    const third = cache.getOrLoad("a:k", () => "newer", { tags: ["t", "u"] });
    await clock.advance(0);
    old.resolve("old");
    expect(await first).toBe("old");
    expect(await second).not.toBe("old");
    expect(await third).not.toBe("old");
    expect(await cache.get("a:k")).not.toBe("old");
  });

  it("but shares one that something else's invalidation has not touched", async () => {
    const { cache, clock } = start();
    const load = deferred<string>();
    const first = cache.getOrLoad("a:k", () => load.promise, { tags: ["t"] });
    await clock.advance(0);
    await cache.invalidate([
      { key: "b" },
      { tag: "u" },
      { prefix: "b" },
      { pattern: "b*" },
      { tags: ["t", "u"], match: "all" },
    ]);
    const second = cache.getOrLoad("a:k", () => expect.unreachable());
    load.resolve("v");
    expect(await Promise.all([first, second])).toEqual(["v", "v"]);
    expect(cache.peek("a:k")).toBe("v");
  });
});

describe("R5: a tag invalidated while a tagged load runs hits the entry it ends in", () => {
  it.each(["the call", "the loader at its end", "the entity's declaration"])("named by %s", async (by) => {
    const { cache, clock } = start();
    const load = deferred<string>();
    const entity = cache.entity<string, string>({ name: "e", tags: () => ["t"] });
    const read =
      by === "the entity's declaration"
        ? entity.getOrLoad("k", () => load.promise)
        : cache.getOrLoad(
            "k",
            async ({ tags }) => {
              const value = await load.promise;
              if (by !== "the call") tags("t");
              return value;
            },
            by === "the call" ? { tags: ["t"] } : {},
          );
    await clock.advance(0);
    await cache.invalidate({ tag: "t" });
    load.resolve("old");
    expect(await read).toBe("old");
    expect(await (by === "the entity's declaration" ? entity.has("k") : cache.has("k"))).toBe(false);
  });
});

describe("writeThrough", () => {
  it("stores what was committed, under the options given", async () => {
    const { cache } = start();
    expect(await cache.writeThrough("k", async () => "v", { ttl: "7s", tags: ["t"], etag: "e" })).toBe("v");
    expect((await cache.explain("k")).tiers[0]).toMatchObject({ state: "fresh", freshFor: 7_000, tags: ["global:t"] });
  });

  it("a write that fails is thrown as it is, and what was stored is not believed any more", async () => {
    const { cache } = start({ staleIfError: "1h" });
    const failure = new Error("deadlock");
    await cache.set("k", "old");
    await expect(cache.writeThrough("k", () => Promise.reject(failure))).rejects.toBe(failure);
    expect(await cache.get("k", { stale: true })).toBeUndefined();
    const thrown = (): never => {
      throw failure;
    };
    await expect(cache.writeThrough("k", thrown)).rejects.toBe(failure);
  });

  it("readers have the old value until it commits, and what they loaded meanwhile does not stay", async () => {
    const { cache, clock } = start();
    await cache.set("k", "old");
    const write = deferred<string>();
    const writing = cache.writeThrough("k", () => write.promise);
    await clock.advance(0);
    expect(await cache.get("k")).toBe("old");
    await cache.delete("k");
    const load = deferred<string>();
    const read = cache.getOrLoad("k", () => load.promise);
    await clock.advance(0);
    write.resolve("new");
    await writing;
    load.resolve("old");
    await read;
    expect([undefined, "new"]).toContain(await cache.get("k"));
  });

  it("with writers that race, the entry is the last committed value or gone, whatever their order", () =>
    fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(
          [
            "begin 0",
            "commit 0",
            "answer 0",
            "begin 1",
            "commit 1",
            "answer 1",
            "begin 2",
            "commit 2",
            "answer 2",
            "read 0",
            "read 1",
            "serve 0",
            "serve 1",
          ],
          { minLength: 13 },
        ),
        async (schedule) => {
          const { cache, clock } = start();
          let row = "row -";
          const steps = new Map<string, Deferred<void>>();
          const running: Promise<unknown>[] = [];
          const step = (name: string): Deferred<void> => {
            const known = steps.get(name) ?? deferred();
            steps.set(name, known);
            return known;
          };
          for (const name of schedule) {
            const [verb, id] = name.split(" ");
            if (verb === "begin") {
              running.push(
                cache.writeThrough("k", async () => {
                  await step(`commit ${id}`).promise;
                  row = `row ${id}`;
                  await step(`answer ${id}`).promise;
                  return `row ${id}`;
                }),
              );
            } else if (verb === "read") {
              running.push(
                cache.getOrLoad("k", async () => {
                  const read = row;
                  await step(`serve ${id}`).promise;
                  return read;
                }),
              );
            } else {
              step(name).resolve();
            }
            await clock.advance(0);
          }
          await Promise.all(running);
          expect([undefined, row]).toContain(await cache.get("k"));
        },
      ),
      { numRuns: 150 },
    ));
});

describe("set", () => {
  it("that races with another: the later call wins in memory", async () => {
    const { cache } = start();
    const sets = [
      cache.set("k", 1),
      cache.delete("k"),
      cache.set("k", 2),
      cache.set("k", 3),
      cache.invalidate({ prefix: "k" }),
    ];
    await Promise.all(sets);
    expect(await cache.get("k")).toBeUndefined();
  });
});

import { describe, expect, it } from "vitest";

import { oneCache } from "../test/support/one-cache.js";
import type { Operation } from "./watchers.js";

const start = oneCache();

describe("watch", () => {
  it("is told of reads that memory does not answer, with how they were answered", async () => {
    const { cache } = start();
    const told: Operation[] = [];
    const off = cache.watch((operation, run) => {
      told.push(operation);
      void run();
    });
    await cache.getOrLoad("k", () => 1);
    await cache.getOrLoad("k", () => 1);
    await cache.get("none");
    expect(told).toMatchObject([
      { kind: "get", key: "k", count: 1, answer: { hit: false, tier: undefined, stale: false } },
      { kind: "load", key: "k" },
      { kind: "get", key: "none", answer: { hit: false } },
    ]);
    off();
    await cache.get("other");
    expect(told).toHaveLength(3);
  });

  it("puts watchers around the work, the first outermost, and runs it once", async () => {
    const { cache } = start();
    const order: string[] = [];
    for (const name of ["outer", "inner"])
      cache.watch((operation, run) => {
        order.push(`${name} ${operation.kind}`);
        void run();
        void run().then(() => order.push(`${name} ${operation.kind} ended`));
      });
    let loads = 0;
    await cache.getOrLoad("k", () => (loads += 1));
    await Promise.resolve();
    expect(loads).toBe(1);
    expect(order).toEqual([
      "outer get",
      "inner get",
      "outer load",
      "inner load",
      "inner load ended",
      "outer load ended",
      "inner get ended",
      "outer get ended",
    ]);
  });

  it("does not let a watcher that throws, or runs nothing, hurt an operation", async () => {
    const { cache } = start();
    const failures: unknown[] = [];
    cache.on("background-failed", ({ what }) => failures.push(what));
    cache.watch(() => {
      throw new Error("watcher");
    });
    cache.watch(() => undefined);
    expect(await cache.getOrLoad("k", () => 5)).toBe(5);
    await cache.set("j", 1);
    await cache.invalidate({ tag: "t" });
    expect(failures).toEqual(["watcher", "watcher", "watcher", "watcher"]);
    await expect(cache.getOrLoad("bad", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
  });

  it("reports an async watcher that rejects by itself, and not the failure of the operation it waits for", async () => {
    const { cache, clock } = start();
    const failures: unknown[] = [];
    cache.on("background-failed", ({ error }) => failures.push(error));
    const own = new Error("watcher");
    // oxlint-disable-next-line typescript/no-misused-promises -- as it is written where no such rule is
    cache.watch(async (operation, run) => {
      await run();
      if (operation.kind === "load") throw own;
    });
    expect(await cache.getOrLoad("k", () => 5)).toBe(5);
    await expect(cache.getOrLoad("bad", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    await clock.advance(0);
    expect(failures).toEqual([own]);
  });

  it("refuses what is no function", () => {
    const { cache } = start();
    expect(() => cache.watch(5 as never)).toThrow("`watcher`");
  });
});

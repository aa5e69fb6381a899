import { describe, expect, it } from "vitest";

import { deferred } from "../test/support/deferred.js";
import { oneCache } from "../test/support/one-cache.js";
import type { Lock } from "./api.js";

const start = oneCache();
const gone = new Error("gone");

describe("a lock without a shared tier", () => {
  it("is held by one at a time, first come first served, with fences that grow", async () => {
    const { cache, clock } = start();
    const order: string[] = [];
    const fences: number[] = [];
    const gates = [deferred(), deferred(), deferred()];
    const run = async (name: number): Promise<void> => {
      await using lock = await cache.lock("job");
      order.push(`in ${name}`);
      fences.push(lock.fence);
      await gates[name]?.promise;
      order.push(`out ${name}`);
    };
    const all = [run(0), run(1), run(2)];
    await clock.advance(0);
    expect(order).toEqual(["in 0"]);
    for (const gate of gates.toReversed()) gate.resolve();
    await Promise.all(all);
    expect(order).toEqual(["in 0", "out 0", "in 1", "out 1", "in 2", "out 2"]);
    expect(fences).toEqual([...fences].sort((a, b) => a - b));
    expect(new Set(fences).size).toBe(3);
  });

  it("of one name has nothing to do with another, nor with an entry of that name", async () => {
    const { cache, clock } = start();
    await cache.set("job", 1);
    const locks = [await cache.lock("job"), await cache.lock("job:2"), await cache.lock(["job", 2, "x"])];
    expect(cache.peek("job")).toBe(1);
    await cache.invalidate({ all: true });
    const second = cache.lock("job", { wait: 0 }).catch((error: unknown) => error);
    await clock.advance(0);
    expect(await second).toMatchObject({ code: "ERR_CACHE_LOCK" });
    for (const lock of locks) await lock.release();
  });

  it("is waited for so long and no longer, by default ten seconds", async () => {
    const { cache, clock } = start();
    const held = await cache.lock("job");
    const failed: string[] = [];
    const waiting = [cache.lock("job", { wait: 100 }), cache.lock("job")].map((lock, index) =>
      lock.catch((error: { code: string }) => failed.push(`${index} ${error.code}`)),
    );
    await clock.advance(99);
    expect(failed).toEqual([]);
    await clock.advance(1);
    expect(failed).toEqual(["0 ERR_CACHE_LOCK"]);
    await clock.advance(9_899);
    expect(failed).toHaveLength(1);
    await clock.advance(1);
    expect(failed).toEqual(["0 ERR_CACHE_LOCK", "1 ERR_CACHE_LOCK"]);
    await Promise.all(waiting);
    await held.release();
    await (await cache.lock("job", { wait: 0 })).release();
  });

  it("with a wait of 0 is obtained or not", async () => {
    const { cache, clock } = start();
    const held = await cache.lock("job", { wait: 0 });
    const second = cache.lock("job", { wait: 0 }).catch((error: unknown) => error);
    await clock.advance(0);
    expect(await second).toMatchObject({ code: "ERR_CACHE_LOCK" });
    await held.release();
  });

  it("a waiter who is aborted leaves the queue to the others", async () => {
    const { cache, clock } = start();
    const held = await cache.lock("job");
    const controller = new AbortController();
    const leaving = cache.lock("job", { signal: controller.signal });
    const staying = cache.lock("job");
    const before = clock.pending;
    controller.abort(gone);
    await expect(leaving).rejects.toBe(gone);
    expect(clock.pending).toBe(before - 1);
    await held.release();
    await (await staying).release();
    await expect(cache.lock("job", { signal: controller.signal })).rejects.toBe(gone);
    expect(clock.pending).toBe(0);
  });

  it("released twice, or released and disposed, is released once: the next holder keeps it", async () => {
    const { cache, clock } = start();
    const first = await cache.lock("job");
    const [second, third] = [cache.lock("job"), cache.lock("job")];
    await first.release();
    await first.release();
    await first[Symbol.asyncDispose]();
    const holder = await second;
    let thirdHolds = false;
    void third.then(() => (thirdHolds = true));
    await clock.advance(0);
    expect(thirdHolds).toBe(false);
    await holder.release();
    await (await third).release();
  });

  it("is never lost: there is nobody who could take it", async () => {
    const { cache, clock } = start();
    const lock: Lock = await cache.lock("job", { ttl: 10 });
    await clock.advance(60_000);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
  });

  it.each([
    ["ttl", { ttl: 5 }],
    ["ttl", { ttl: "x" }],
    ["wait", { wait: -1 }],
    ["lock option", { timeout: 5 }],
  ])("refuses a wrong %s: %o", async (option, options) => {
    const { cache } = start();
    await expect(cache.lock("job", options as object)).rejects.toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining(`\`${option}\``),
    });
    await (await cache.lock("job", { wait: 0 })).release();
  });
});

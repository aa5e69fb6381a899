import { afterEach, describe, expect, it } from "vitest";

import type { Cache, CacheOptions } from "../src/index.js";
import { processes, type Processes } from "./support/processes.js";

let running: Processes | undefined;

async function start(options: CacheOptions = {}): Promise<Processes & { a: Cache; b: Cache }> {
  running = await processes(2, options);
  const [a, b] = running.caches;
  return { ...running, a: a as Cache, b: b as Cache };
}

afterEach(async () => {
  await running?.close();
  running = undefined;
});

describe("a lock across processes", () => {
  it("is held by one at a time, with a fence that grows", async () => {
    const { caches, clock } = await start();
    let holders = 0;
    const fences: number[] = [];
    const worker = async (cache: Cache): Promise<void> => {
      for (let round = 0; round < 5; round += 1) {
        await using lock = await cache.lock("job", { wait: "1h" });
        holders += 1;
        expect(holders).toBe(1);
        fences.push(lock.fence);
        await new Promise<void>((resolve) => clock.after(10, resolve));
        holders -= 1;
      }
    };
    const workers = Promise.all(caches.map(worker));
    await clock.advance(5_000);
    await workers;
    expect(fences).toHaveLength(10);
    expect(fences).toEqual(fences.toSorted((x, y) => x - y));
    expect(new Set(fences).size).toBe(10);
  });

  it("is woken by the release, without waiting for the next try", async () => {
    const { a, b, clock, settle } = await start();
    const first = await a.lock("job");
    const began = clock.now();
    const second = b.lock("job");
    await settle();
    await first.release();
    await settle();
    expect((await second).fence).toBeGreaterThan(first.fence);
    expect(clock.now()).toBe(began);
    await (await second).release();
  });

  it("is not obtained within the wait: ERR_CACHE_LOCK", async () => {
    const { a, b, clock } = await start();
    const held = await a.lock("job");
    const outcome = expect(b.lock("job", { wait: "500ms" })).rejects.toMatchObject({ code: "ERR_CACHE_LOCK" });
    await clock.advance(600);
    await outcome;
    await held.release();
  });

  it("is kept by renewal for as long as its holder lives", async () => {
    const { a, b, clock } = await start();
    const held = await a.lock("job", { ttl: "1s" });
    const outcome = expect(b.lock("job", { wait: "60s" })).rejects.toMatchObject({ code: "ERR_CACHE_LOCK" });
    await clock.advance(61_000);
    await outcome;
    expect(held.signal.aborted).toBe(false);
    await held.release();
  });

  it("is taken over when its holder has died, and the holder is told before anybody else can have it", async () => {
    const { a, b, clock, connections } = await start();
    const held = await a.lock("job", { ttl: "3s" });
    connections[0]?.hang();
    let lostAt: number | undefined;
    held.signal.addEventListener("abort", () => (lostAt = clock.now()));
    let takenAt: number | undefined;
    const taken = b.lock("job", { wait: "1h" }).then((lock) => {
      takenAt = clock.now();
      return lock;
    });
    await clock.advance(5_000);
    expect((await taken).fence).toBeGreaterThan(held.fence);
    expect(lostAt).toBeLessThanOrEqual(takenAt as number);
    expect(held.signal.reason).toMatchObject({ code: "ERR_CACHE_LOCK" });
    await expect(held.release()).rejects.toMatchObject({ code: "ERR_CACHE_LOCK" });
    connections[0]?.heal();
    await (await taken).release();
  });

  it("holds its signal back from the time it took to be granted", async () => {
    const { a, clock, connections } = await start();
    connections[0]?.slow(200, clock);
    const locking = a.lock("job", { ttl: "1s" });
    const askedAt = clock.now();
    await clock.advance(200);
    const held = await locking;
    connections[0]?.hang();
    let lostAt: number | undefined;
    held.signal.addEventListener("abort", () => (lostAt = clock.now()));
    await clock.advance(5_000);
    expect(lostAt).toBe(askedAt + 1_000);
  });

  it("that was lost to a restart of the tier is found out by its next renewal", async () => {
    const { a, b, clock, server } = await start();
    const held = await a.lock("job", { ttl: "3s" });
    server.flush();
    const taken = await b.lock("job");
    expect(taken.fence).toBeGreaterThan(held.fence);
    await clock.advance(1_000);
    expect(held.signal.aborted).toBe(true);
    await taken.release();
  });

  it("says so when the tier is down, instead of pretending", async () => {
    const { a, connections } = await start();
    connections[0]?.fail();
    await expect(a.lock("job")).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
  });

  it("does not meet an entry or another namespace's lock of the same name", async () => {
    const { a, b, clock } = await start();
    await a.set("job", "v");
    const locks = await Promise.all([a.lock("job"), b.namespace("x").lock("job"), a.lock(["ns", "job"])]);
    await a.invalidate({ all: true });
    await clock.advance(60_000);
    for (const lock of locks) {
      expect(lock.signal.aborted).toBe(false);
      await lock.release();
    }
  });
});

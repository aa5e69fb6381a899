import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { oneCache } from "../test/support/one-cache.js";
import { memory } from "./index.js";
import { Recorder, type ReadStats } from "./stats.js";

const start = oneCache();

function expectFormulas(stats: ReadStats): void {
  const { gets, hits, staleHits, misses, missReasons, hitRatio } = stats;
  expect(gets).toBe(hits.memory + hits.shared + staleHits + misses);
  expect(Object.values(missReasons).reduce((sum, count) => sum + count, 0)).toBe(misses);
  expect(hitRatio).toBe(gets === 0 ? 0 : (hits.memory + hits.shared + staleHits) / gets);
}

describe("stats of a cache", () => {
  it("count every read of one key exactly once, whatever was done, and add up over the entities", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            call: fc.constantFrom(
              "get",
              "stale",
              "peek",
              "has",
              "getMany",
              "load",
              "fail",
              "skip",
              "late",
              "many",
              "refresh",
              "set",
              "delete",
              "expire",
              "tag",
              "all",
              "write",
              "wait",
              "entity",
              "entities",
            ),
            key: fc.constantFrom("a", "b", "c"),
          }),
          { maxLength: 40 },
        ),
        async (calls) => {
          const { cache, clock } = start({
            ttl: 100,
            staleWhileRevalidate: 50,
            staleIfError: 100,
            tiers: [memory({ maxEntries: 3 })],
          });
          const entity = cache.entity<string, string>({ name: "e", loadMany: async (ids) => ids });
          let reads = 0;
          const running: Promise<unknown>[] = [];
          const fail = (): Promise<never> => Promise.reject(new Error("down"));
          const read = (count: number, promise: Promise<unknown>): void => {
            reads += count;
            running.push(promise.catch(() => undefined));
          };
          for (const { call, key } of calls) {
            if (call === "get") read(1, cache.get(key));
            else if (call === "stale") read(1, cache.get(key, { stale: true }));
            else if (call === "has") read(1, cache.has(key));
            else if (call === "getMany") read(2, cache.getMany([key, "a"]));
            else if (call === "load")
              read(
                1,
                cache.getOrLoad(key, async () => 1),
              );
            else if (call === "fail") read(1, cache.getOrLoad(key, fail));
            else if (call === "skip")
              read(
                1,
                cache.getOrLoad(key, ({ skip }) => skip()),
              );
            else if (call === "late")
              read(
                1,
                cache.getOrLoad(key, () => new Promise((resolve) => void clock.after(30, () => resolve(1))), {
                  waitTimeout: 10,
                }),
              );
            else if (call === "many")
              read(
                3,
                cache.getOrLoadMany(
                  [key, "a", "b"],
                  (name) => name,
                  async (names) => names,
                ),
              );
            else if (call === "refresh")
              read(
                1,
                cache.refresh(key, () => 2),
              );
            else if (call === "entity") read(1, entity.get(key));
            else if (call === "entities") read(2, entity.getMany([key, "z"]));
            else if (call === "set") running.push(cache.set(key, 1, { tags: ["t"] }));
            else if (call === "delete") running.push(cache.delete(key));
            else if (call === "expire") running.push(cache.expire(key));
            else if (call === "tag") running.push(cache.invalidate({ tag: "t" }));
            else if (call === "all") running.push(cache.invalidate({ all: true }, { mode: "soft" }));
            else if (call === "write") running.push(cache.writeThrough(key, fail).catch(() => undefined));
            else if (call === "wait") await clock.advance(40);
            else {
              reads += 1;
              cache.peek(key);
            }
          }
          await clock.advance(200);
          await Promise.all(running);
          const { total, entities, gate, memory: held } = cache.stats();
          expect(total.gets).toBe(reads);
          expectFormulas(total);
          for (const one of Object.values(entities)) expectFormulas(one);
          for (const field of ["gets", "misses", "staleHits", "loads", "loadFailures"] as const) {
            expect(Object.values(entities).reduce((sum, one) => sum + one[field], 0)).toBe(total[field]);
          }
          expect(gate).toEqual({ active: 0, queued: 0 });
          expect(held?.entries).toBeLessThanOrEqual(3);
        },
      ),
      { numRuns: 120 },
    ));

  it("of an unused cache are all zero", () => {
    const { cache } = start();
    expect(cache.stats().total).toEqual({
      gets: 0,
      hits: { memory: 0, shared: 0 },
      staleHits: 0,
      staleFrom: { memory: 0, shared: 0 },
      misses: 0,
      missReasons: {},
      hitRatio: 0,
      loads: 0,
      loadMilliseconds: 0,
      loadFailures: 0,
      coalesced: { process: 0, cluster: 0 },
      loadsShared: 0,
      refused: {},
    });
  });

  it("measure loads on the clock", async () => {
    const { cache, clock } = start();
    const read = cache.getOrLoad("k", () => new Promise<number>((resolve) => void clock.after(70, () => resolve(1))));
    await clock.advance(70);
    await read;
    expect(cache.stats().total).toMatchObject({ loads: 1, loadMilliseconds: 70 });
  });

  it("take entity names that are names of objects' own properties", async () => {
    const { cache } = start();
    for (const name of ["__proto__", "constructor", "toString"])
      await cache.entity<string, number>({ name, load: () => 1 }).get("k");
    expect(Object.keys(cache.stats().entities)).toEqual(
      expect.arrayContaining(["__proto__", "constructor", "toString"]),
    );
    expect(cache.stats().entities["__proto__"]?.loads).toBe(1);
  });
});

describe("the recorder", () => {
  it("tells a listener of one type that type only, and a listener of everything all", () => {
    const recorder = new Recorder();
    const counters = recorder.counters("e");
    const told: string[] = [];
    recorder.on("hit", ({ type }) => told.push(`one ${type}`));
    recorder.on("*", ({ type }) => told.push(`all ${type}`));
    recorder.hit(counters, "k", "memory", false);
    recorder.miss(counters, "k", "cold");
    expect(told).toEqual(["one hit", "all hit", "all miss"]);
  });

  it("does not tell a listener added while it tells, and none that was taken back", () => {
    const recorder = new Recorder();
    const counters = recorder.counters("");
    let late = 0;
    const off = recorder.on("hit", () => {
      off();
      recorder.on("hit", () => (late += 1));
    });
    recorder.hit(counters, "k", "memory", false);
    expect(late).toBe(0);
    recorder.hit(counters, "k", "memory", false);
    expect(late).toBe(1);
  });

  it("hears of a type only while somebody listens to it, or to everything", () => {
    const recorder = new Recorder();
    expect(recorder.hears("miss")).toBe(false);
    const off = recorder.on("miss", () => undefined);
    expect(recorder.hears("miss")).toBe(true);
    expect(recorder.hears("hit")).toBe(false);
    off();
    expect(recorder.hears("miss")).toBe(false);
    recorder.on("*", () => undefined);
    expect(recorder.hears("hit")).toBe(true);
  });

  it("an async listener that rejects is told of as one that throws, and leaves nothing unhandled", async () => {
    const recorder = new Recorder();
    const types: string[] = [];
    // oxlint-disable-next-line typescript/no-misused-promises -- as it is written where no such rule is
    recorder.on("*", async ({ type }) => {
      types.push(type);
      await Promise.reject(new Error("listener"));
    });
    recorder.miss(recorder.counters(""), "k", "cold");
    await new Promise((resolve) => setImmediate(resolve));
    expect(types).toEqual(["miss", "background-failed"]);
  });

  it("a listener of everything that always throws is told once of its own failure, and no more", () => {
    const recorder = new Recorder();
    const types: string[] = [];
    recorder.on("*", ({ type }) => {
      types.push(type);
      throw new Error("listener");
    });
    recorder.miss(recorder.counters(""), "k", "cold");
    expect(types).toEqual(["miss", "background-failed"]);
  });
});

import { afterEach, describe, expect, it } from "vitest";
import { ManualClock, seededRandom } from "../../test/support/manual-clock.js";
import { Recorder } from "../stats.js";
import { HotKeys } from "./hot-keys.js";
import { HOT_KEY_DEFAULTS, type HotKeySettings } from "./hot-options.js";

const TICK = 500;

/** Hot keys on a clock of their own, and everything they tell. */
function setup(settings: Partial<HotKeySettings> = {}): {
  keys: HotKeys;
  clock: ManualClock;
  recorder: Recorder;
  told: string[];
  ranked: () => readonly string[];
  read: (rates: Readonly<Record<string, number>>, ms: number) => void;
} {
  const clock = new ManualClock();
  const recorder = new Recorder();
  const told: string[] = [];
  let last: readonly string[] = [];
  recorder.on("*", (event) => {
    if (event.type === "hot" || event.type === "cooled") told.push(`${event.type} ${event.key}`);
  });
  const keys = new HotKeys({
    clock,
    recorder,
    random: seededRandom(5),
    settings: { ...HOT_KEY_DEFAULTS, ...settings },
    effects: {
      heated: (key) => told.push(`+${key}`),
      cooled: (key) => told.push(`-${key}`),
      ranked: (all) => {
        last = all;
      },
    },
  });
  open.push(keys);
  /** Reads every key at its rate, evenly. */
  const read = (rates: Readonly<Record<string, number>>, ms: number): void => {
    for (let at = 0; at < ms; at += 1) {
      for (const [key, perSecond] of Object.entries(rates)) {
        const upTo = Math.floor(((at + 1) * perSecond) / 1_000) - Math.floor((at * perSecond) / 1_000);
        for (let i = 0; i < upTo; i += 1) keys.read(key);
      }
      clock.advance(1);
    }
  };
  return { keys, clock, recorder, told, ranked: () => last, read };
}

const open: HotKeys[] = [];
afterEach(() => {
  for (const keys of open.splice(0)) keys.close();
});

describe("HotKeys", () => {
  it("finds a key of ten times the rate at the first tick, and one of twice within a second", () => {
    const { keys, read } = setup();
    // The first tick is one TICK after the first sample.
    read({ ten: 10_000, two: 2_400, cold: 300 }, TICK + 20);
    expect(keys.list().map(({ key }) => key)).toContain("ten");
    read({ ten: 10_000, two: 2_400, cold: 300 }, TICK);
    expect(keys.list().map(({ key }) => key)).toEqual(["ten", "two"]);
    expect(keys.has("cold")).toBe(false);
  });

  it("finds one just above the rate in a few seconds", () => {
    const { keys, read } = setup();
    read({ k: 1_200 }, 4_000);
    expect(keys.has("k")).toBe(true);
  });

  it("estimates rates to a quarter", () => {
    const { keys, read } = setup();
    read({ a: 40_000, b: 8_000 }, 5_000);
    const [a, b] = keys.list();
    expect(a?.key).toBe("a");
    expect(Math.abs((a?.perSecond ?? 0) / 40_000 - 1)).toBeLessThan(0.25);
    expect(Math.abs((b?.perSecond ?? 0) / 8_000 - 1)).toBeLessThan(0.25);
  });

  it("counts every read where few reads are many", () => {
    const { keys, read } = setup({ perSecond: 10 });
    read({ k: 20, cold: 3 }, 3_000);
    const [found, ...others] = keys.list();
    expect([found?.key, others]).toEqual(["k", []]);
    expect(Math.abs((found?.perSecond ?? 0) - 20)).toBeLessThanOrEqual(1);
  });

  it("lets a key go when it is read no more, and stops looking", () => {
    const { keys, clock, told, ranked, read } = setup();
    read({ k: 5_000 }, 1_000);
    expect(told).toEqual(["+k", "hot k"]);
    expect(ranked()).toEqual(["k"]);
    clock.advance(4_000);
    expect(told).toEqual(["+k", "hot k", "-k", "cooled k"]);
    expect([keys.list(), ranked(), clock.timers.size]).toEqual([[], [], 0]);
  });

  it("does not let a key go in and out whose rate wavers about the one that makes it hot", () => {
    const { keys, told, read } = setup();
    read({ k: 2_500 }, 2_000);
    for (let turn = 0; turn < 20; turn += 1) read({ k: turn % 2 === 0 ? 800 : 1_300 }, 700);
    expect(told).toEqual(["+k", "hot k"]);
    expect(keys.has("k")).toBe(true);
  });

  it("does not let equals displace each other", () => {
    const { told, read } = setup({ limit: 3 });
    const rates = Object.fromEntries(["a", "b", "c", "d", "e", "f"].map((key) => [key, 5_000]));
    read(rates, 6_000);
    expect(told.filter((what) => what.startsWith("+"))).toHaveLength(3);
    expect(told.filter((what) => what.startsWith("-"))).toEqual([]);
  });

  it("has room for the limit, and the hottest in it", () => {
    const { keys, read } = setup({ limit: 4 });
    const rates = Object.fromEntries(
      Array.from({ length: 40 }, (_, id) => [`k${id}`, 1_500 + (id % 10 === 0 ? 20_000 : 0)]),
    );
    read(rates, 4_000);
    expect(
      keys
        .list()
        .map(({ key }) => key)
        .sort(),
    ).toEqual(["k0", "k10", "k20", "k30"]);
  });

  it("finds a newcomer that is much hotter than as many as it watches", () => {
    const { keys, read } = setup({ limit: 2 });
    const rates = Object.fromEntries(Array.from({ length: 30 }, (_, id) => [`k${id}`, 1_100]));
    read(rates, 2_000);
    read({ ...rates, newcomer: 30_000 }, 2_000);
    expect(keys.list()[0]?.key).toBe("newcomer");
  });

  it("takes none of many keys for hot that are read often only together", () => {
    const { keys, clock } = setup();
    for (let second = 0; second < 3; second += 1) {
      for (let read = 0; read < 1_000_000; read += 1) {
        keys.read(`k${read % 50_000}`);
        if (read % 1_000 === 0) clock.advance(1);
      }
    }
    expect(keys.list()).toEqual([]);
  });

  it("does not take slow reading for fast because the process was too busy to look", () => {
    const { keys, clock, read } = setup();
    read({ k: 5_000 }, 200);
    // 1,200 reads in three seconds: 400 in each.
    for (let i = 0; i < 1_200; i += 1) keys.read("other");
    clock.step(3_000);
    clock.advance(1);
    expect(keys.has("other")).toBe(false);
  });

  it("adds nothing up over time: a read now and then is never hot", () => {
    const { keys, told, read } = setup({ perSecond: 16 });
    read({ slow: 2 }, 120_000);
    expect([keys.list(), told]).toEqual([[], []]);
  });

  it("plays the same reads the same way", () => {
    const run = (): unknown => {
      const { keys, read } = setup();
      read({ a: 3_000, b: 1_010, c: 990 }, 3_000);
      return keys.list();
    };
    expect(run()).toEqual(run());
  });

  it("is sampled one read in so many, at distances that vary and are right on average", () => {
    const { keys } = setup();
    const distances = Array.from({ length: 20_000 }, () => keys.sample("k"));
    const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
    expect(mean).toBeGreaterThan(60);
    expect(mean).toBeLessThan(64);
    expect(Math.min(...distances)).toBe(1);
    expect(Math.max(...distances)).toBe(123);
  });

  it("has no timer before it is read from, nor after it is closed", () => {
    const { keys, clock } = setup();
    expect(clock.timers.size).toBe(0);
    for (let i = 0; i < 1_000; i += 1) keys.read("k");
    expect(clock.timers.size).toBe(1);
    keys.close();
    for (let i = 0; i < 10_000; i += 1) keys.read("k");
    expect(clock.timers.size).toBe(0);
  });

  it("may be read from by whoever is told", () => {
    const { keys, clock, recorder, read } = setup();
    let told = 0;
    recorder.on("hot", () => {
      told += 1;
      for (let i = 0; i < 500; i += 1) keys.read("k");
    });
    read({ k: 5_000 }, 1_000);
    clock.advance(10_000);
    expect([told, keys.list()]).toEqual([1, []]);
  });
});

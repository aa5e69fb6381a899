import { describe, expect, it } from "vitest";

import { oneCache } from "../test/support/one-cache.js";
import type { WarmTask } from "./api.js";
import { WarmPace } from "./warm-pace.js";

const start = oneCache();

describe("the pace of warming", () => {
  it("stays at what was asked for while tasks take as long as they did", () => {
    const pace = new WarmPace(100);
    for (let n = 0; n < 1_000; n += 1) pace.ended(20 + (n % 3));
    expect(pace.rate).toBe(100);
  });

  it("is halved again and again while the source slows down, to a bound, and comes back", () => {
    const pace = new WarmPace(640);
    for (let n = 0; n < 50; n += 1) pace.ended(10);
    for (let n = 0; n < 16; n += 1) pace.ended(100);
    expect(pace.rate).toBeLessThan(640 / 2);
    for (let n = 0; n < 100; n += 1) pace.ended(100 * 1.02 ** n);
    expect(pace.rate).toBeGreaterThanOrEqual(10);
    expect(pace.rate).toBeLessThan(640 / 8);
    for (let n = 0; n < 200; n += 1) pace.ended(10);
    expect(pace.rate).toBe(640);
  });

  it("takes no notice of differences of a millisecond", () => {
    const pace = new WarmPace(100);
    for (let n = 0; n < 100; n += 1) pace.ended(n % 2);
    expect(pace.rate).toBe(100);
  });
});

describe("warm", () => {
  it("begins fewer tasks a second while they take longer than they did", async () => {
    const { cache, clock } = start();
    const begun: number[] = [];
    const plan = Array.from({ length: 600 }, (_, n): WarmTask => () => {
      begun.push(clock.now());
      return new Promise((resolve) => void clock.after(n < 200 ? 5 : 100, () => resolve(n)));
    });
    const warming = cache.warm(plan, { perSecond: 100, concurrency: 50 });
    await clock.advance(120_000);
    await warming;
    const gap = (at: number): number => (begun[at + 1] as number) - (begun[at] as number);
    expect(gap(150)).toBeCloseTo(10);
    expect(Math.max(gap(260), gap(280), gap(300))).toBeGreaterThan(15);
  });

  it("begins none while others' loads wait at the gate", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 } });
    const load = (ms: number) => (): Promise<number> =>
      new Promise((resolve) => void clock.after(ms, () => resolve(1)));
    const others = [cache.getOrLoad("a", load(1_000)), cache.getOrLoad("b", load(1_000))];
    await clock.advance(0);
    let begun = 0;
    const warming = cache.warm(Array.from({ length: 3 }, (): WarmTask => async () => (begun += 1)));
    await clock.advance(900);
    expect(begun).toBe(0);
    await clock.advance(200);
    expect(begun).toBe(3);
    await clock.advance(1_000);
    await Promise.all([...others, warming]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../tracker/random.js";
import { scatter, zipfRanks } from "./zipf.js";

describe("zipfRanks", () => {
  it("draws each of the first ranks as often as its law says", () => {
    const n = 1_000;
    const theta = 0.99;
    const draws = 200_000;
    const draw = zipfRanks(n, theta, seededRandom(1));
    const counts = new Uint32Array(n);
    for (let index = 0; index < draws; index++) {
      const rank = draw();
      counts[rank] = (counts[rank] ?? 0) + 1;
    }
    const zeta = Array.from({ length: n }, (_, k) => 1 / (k + 1) ** theta).reduce((a, b) => a + b);
    const expected = (rank: number): number => draws / (rank + 1) ** theta / zeta;
    expect((counts[0] ?? 0) / expected(0)).toBeCloseTo(1, 1);
    expect((counts[1] ?? 0) / expected(1)).toBeCloseTo(1, 1);
    const head = counts.subarray(0, 100).reduce((a, b) => a + b, 0);
    const wanted = Array.from({ length: 100 }, (_, rank) => expected(rank)).reduce((a, b) => a + b);
    expect(Math.abs(head / wanted - 1)).toBeLessThan(0.05);
  });

  it("stays in range for any size, the smallest too", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_000 }), fc.integer(), (n, seed) => {
        const draw = zipfRanks(n, 0.99, seededRandom(seed));
        return Array.from({ length: 50 }, draw).every((rank) => Number.isInteger(rank) && rank >= 0 && rank < n);
      }),
    );
  });

  it("draws the same ranks for the same seed", () => {
    const draws = (seed: number): number[] => Array.from({ length: 100 }, zipfRanks(500, 0.99, seededRandom(seed)));
    expect(draws(3)).toEqual(draws(3));
    expect(draws(3)).not.toEqual(draws(4));
  });
});

describe("scatter", () => {
  it("gives each rank a place of its own", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000 }), (n) => {
        const place = scatter(n);
        const places = new Set(Array.from({ length: n }, (_, rank) => place(rank)));
        return places.size === n && [...places].every((index) => index >= 0 && index < n);
      }),
      { numRuns: 60 },
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { zipf } from "../bench/core/workload.js";
import { caseResult, reportOf, textOf } from "../bench/report.js";
import { interleave, order, ratios, spread } from "../bench/slices.js";

describe("spread", () => {
  it("is the middle and both ends, whatever the order", () => {
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(() => spread([])).toThrow(RangeError);
  });

  it("has as many values on either side of the median", () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const { median, min, max } = spread(values);
        const below = values.filter((value) => value < median).length;
        const above = values.filter((value) => value > median).length;
        expect(Math.max(below, above)).toBeLessThanOrEqual(values.length / 2);
        expect([min, max]).toEqual([Math.min(...values), Math.max(...values)]);
      }),
    );
  });
});

describe("ratios", () => {
  it("pairs costs by round, so that a slow round is slow for both", () => {
    expect(ratios([10, 100], [5, 50])).toEqual([2, 2]);
    expect(() => ratios([1], [1, 2])).toThrow(RangeError);
  });
});

describe("order", () => {
  it("gives each contender one turn a round and the first turn in its turn", () => {
    expect([0, 1, 2, 3].map((round) => order(3, round))).toEqual([
      [0, 1, 2],
      [1, 2, 0],
      [2, 0, 1],
      [0, 1, 2],
    ]);
  });
});

describe("interleave", () => {
  it("runs all contenders by turns, with the operations asked for", async () => {
    const turns: string[] = [];
    const contender = (name: string): { name: string; run(operations: number): void } => ({
      name,
      run(operations) {
        turns.push(`${name}${operations}`);
      },
    });
    const measured = await interleave([contender("a"), contender("b")], { rounds: 2, slice: 1, operations: 7 });
    // Three rounds to warm up and two that count.
    expect(turns.join(" ")).toBe("a7 b7 b7 a7 a7 b7 b7 a7 a7 b7");
    expect(measured.map(({ name, operations, perRound }) => [name, operations, perRound.length])).toEqual([
      ["a", 7, 2],
      ["b", 7, 2],
    ]);
  });

  it("fits the operations to the slice", async () => {
    const spin = (operations: number): void => {
      for (let i = 0, x = 1; i < operations * 2_000; i += 1) x = Math.imul(x, 31) ^ i;
    };
    const [one] = await interleave([{ name: "spin", run: spin }], { rounds: 1, slice: 2 });
    expect(one?.operations).toBeGreaterThan(16);
  });
});

describe("the report", () => {
  const measured = [
    { name: "ours", operations: 10, perRound: [1, 2, 3] },
    { name: "theirs", operations: 10, perRound: [4, 8, 24] },
  ];
  const result = caseResult("hit", "a hit", measured, (name) => ({ loads: name === "ours" ? 1 : 2 }));

  it("compares each contender with the first, round by round", () => {
    expect(result.baseline).toBe("ours");
    expect(result.contenders.map(({ ratio }) => ratio)).toEqual([undefined, { median: 4, min: 4, max: 8 }]);
    expect(
      result.contenders.map(({ micros, opsPerCpuSecond, counts }) => [micros.median, opsPerCpuSecond, counts]),
    ).toEqual([
      [2, 500_000, { loads: 1 }],
      [8, 125_000, { loads: 2 }],
    ]);
  });

  it("has a version and the machine, and columns that line up", () => {
    const report = reportOf("core", true, [result]);
    expect(report).toMatchObject({ schemaVersion: 1, suite: "core", quick: true, machine: { node: process.version } });
    const lines = textOf(report).split("\n").slice(3);
    expect(lines).toHaveLength(3);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  });
});

describe("zipf", () => {
  it("draws the same ranks each time, the first about as often as the next two together", () => {
    const draws = zipf(1_000, 50_000);
    expect(zipf(1_000, 50_000)).toEqual(draws);
    const count = (rank: number): number => draws.filter((one) => one === rank).length;
    expect(count(0) / (count(1) + count(2))).toBeGreaterThan(1.1);
    expect(count(0) / (count(1) + count(2))).toBeLessThan(1.3);
    expect(Math.max(...draws)).toBeLessThan(1_000);
  });
});

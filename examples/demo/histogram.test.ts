import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Histogram } from "./histogram.js";

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) {
    histogram.record(value);
  }
  return histogram;
}

describe("Histogram", () => {
  it("is zero before the first value and after clear", () => {
    const histogram = histogramOf([5]);
    histogram.clear();
    for (const empty of [histogram, new Histogram()]) {
      expect([empty.count, empty.max, empty.percentile(0.5)]).toEqual([0, 0, 0]);
    }
  });

  it("gives the one value for every percentile", () => {
    const histogram = histogramOf([3.25]);
    expect([0, 0.5, 0.99, 1].map((quantile) => histogram.percentile(quantile))).toEqual([3.25, 3.25, 3.25, 3.25]);
  });

  it("tells the tail from the rest", () => {
    const histogram = histogramOf([...Array.from({ length: 99 }, () => 1), 500]);
    expect(histogram.percentile(0.99)).toBeLessThan(1.02);
    expect(histogram.percentile(0.991)).toBe(500);
  });

  it("keeps what is beyond its range in the last bucket", () => {
    const histogram = histogramOf([0, 1e9]);
    expect(histogram.count).toBe(2);
    expect(histogram.max).toBe(1e9);
    expect(histogram.percentile(0.5)).toBeLessThan(0.0011);
  });

  it("is never below the exact percentile, and at most 1.2 % above it", () => {
    const latencies = fc.array(fc.double({ min: 0.001, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(latencies, fc.double({ min: 0.001, max: 1, noNaN: true }), (values, quantile) => {
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(values.length * quantile)) - 1] ?? 0;
        const estimate = histogramOf(values).percentile(quantile);
        return estimate >= exact * (1 - 1e-9) && estimate <= exact * 1.012;
      }),
      { numRuns: 300 },
    );
  });
});

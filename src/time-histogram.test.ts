import { describe, expect, it } from "vitest";

import { bucketTime, percentile, TimeHistogram } from "./time-histogram.js";

describe("a histogram of times", () => {
  it("gives percentiles within a tenth, from a microsecond to a minute", () => {
    for (const scale of [0.001, 1, 40]) {
      const histogram = new TimeHistogram();
      for (let i = 1; i <= 1_000; i += 1) histogram.add(i * scale);
      for (const share of [0.5, 0.95, 0.99]) {
        const told = percentile(histogram.counts(), share) as number;
        expect(Math.abs(told / (1_000 * share * scale) - 1)).toBeLessThan(0.1);
      }
    }
  });

  it("keeps what is too short or too long at its ends, and what is no time at the first", () => {
    const histogram = new TimeHistogram();
    for (const took of [0, -1, Number.NaN, 1e-9]) histogram.add(took);
    expect(histogram.counts()).toEqual([4]);
    histogram.add(1e12);
    expect(histogram.counts()).toHaveLength(120);
    expect(histogram.counts().at(-1)).toBe(1);
  });

  it("knows no percentile of nothing", () => {
    expect(percentile([], 0.5)).toBeUndefined();
    expect(bucketTime(1)).toBeGreaterThan(bucketTime(0));
  });
});

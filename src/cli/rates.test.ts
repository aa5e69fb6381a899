import { describe, expect, it } from "vitest";

import type { ProcessReport } from "../admin/report.js";
import { createCache } from "../index.js";
import type { ReadStats } from "../stats.js";
import { ratesBetween } from "./rates.js";

const NONE: ReadStats = createCache().stats().total;

/** What rates look at. */
function report(id: string, at: number, counts: Partial<ReadStats>): ProcessReport {
  const total = { ...NONE, ...counts };
  return { process: { id }, at, stats: { total, entities: { user: total } } } as unknown as ProcessReport;
}

describe("rates between two reports", () => {
  it("add up each process over its own time", () => {
    const before = [report("a", 1_000, { gets: 100, misses: 50 }), report("b", 3_000, { gets: 10 })];
    const after = [report("a", 3_000, { gets: 300, misses: 60 }), report("b", 7_000, { gets: 50 })];
    const { total, entities } = ratesBetween(before, after);
    expect(total).toMatchObject({ reads: 110, misses: 5 });
    expect(total.hitRatio).toBeCloseTo(105 / 110);
    expect(entities["user"]).toEqual(total);
  });

  it("count nothing of a process that is new, said nothing new, or began anew", () => {
    const before = [report("same", 1_000, { gets: 10 }), report("again", 1_000, { gets: 500 })];
    const after = [
      report("same", 1_000, { gets: 10 }),
      report("new", 2_000, { gets: 99 }),
      report("again", 2_000, { gets: 5 }),
    ];
    expect(ratesBetween(before, after).total).toMatchObject({ reads: 0, hitRatio: 0, loadTime: 0 });
  });

  it("tell how long a load took, of those in between alone", () => {
    const before = [report("a", 0, { loads: 10, loadMilliseconds: 1_000 })];
    const after = [report("a", 1_000, { loads: 14, loadMilliseconds: 1_020 })];
    expect(ratesBetween(before, after).total).toMatchObject({ loads: 4, loadTime: 5 });
  });
});

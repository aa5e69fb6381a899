import { describe, expect, it } from "vitest";

import { alone } from "../../test/support/processes.js";
import { mergeReports } from "./merge.js";
import type { ProcessReport } from "./report.js";
import { CacheSampler, processFacts } from "./sampler.js";

async function reportOf(name: string, reads: number, at: number): Promise<ProcessReport> {
  const { cache, clock } = alone({ name: "crm" });
  await clock.advance(at);
  const sampler = new CacheSampler(cache, processFacts(name, name, "test", clock), clock);
  sampler.watch();
  const user = cache.entity<number, number>({ name: "user", load: async (id) => id });
  for (let i = 0; i < reads; i += 1) await user.get(i % 2);
  await clock.advance(61_000);
  const report = sampler.report();
  sampler.close();
  await cache.close();
  return JSON.parse(JSON.stringify(report)) as ProcessReport;
}

describe("reports of several processes as one", () => {
  it("add up what can be added, entity by entity, and keep the formulas", async () => {
    const overview = mergeReports([await reportOf("a", 10, 0), await reportOf("b", 30, 0)]);
    expect(overview?.total).toMatchObject({ gets: 40, misses: 4, loads: 4 });
    expect(overview?.total.hits).toEqual({ memory: 36, shared: 0 });
    expect(overview?.total.hitRatio).toBeCloseTo(0.9);
    expect(overview?.entities["user"]).toEqual(overview?.total);
    expect(overview?.memory?.entries).toBe(4);
    expect(overview?.took.loads.reduce((sum, count) => sum + count, 0)).toBe(4);
    expect(overview?.processes.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(overview?.sampled?.mostMissed.map(({ key, count }) => [key, count])).toEqual([
      ["global:user:0:v1", 2],
      ["global:user:1:v1", 2],
    ]);
    expect(overview?.sampled?.misses.map(({ process }) => process).toSorted()).toEqual(["a", "a", "b", "b"]);
  });

  it("count a minute that one of them has none of as the one before", async () => {
    const early = await reportOf("a", 10, 0);
    const late = await reportOf("b", 30, 300_000);
    const gets = mergeReports([early, late])?.minutes.map(([, count]) => count);
    expect(gets).toEqual([0, 10, 10, 40]);
  });

  it("are nothing when there are none", () => {
    expect(mergeReports([])).toBeUndefined();
  });
});

import { describe, expect, it } from "vitest";

import { runRegister } from "../register/register.js";

const isLong = process.env["TIERCACHE_LONG"] === "true";

// The whole of it, longer and on other seeds: npm run register -- --seconds 600.
describe("a register in PostgreSQL, read through memory and Redis in several processes while everything breaks", () => {
  it("is never staler than its bound, and right when all is quiet", { timeout: 300_000 }, async () => {
    const bound = 1_000;
    const { news, ...result } = await runRegister({ seconds: 30, leastReads: 1_000_000, bound });
    console.log(`register: ${JSON.stringify(result)}`);
    expect(result).toMatchObject({ staler: 0, wrong: 0 });
    expect(result.stalest).toBeLessThanOrEqual(bound);
    // That much happened for it to say anything, on the busiest of machines.
    expect(result.reads).toBeGreaterThan(100_000);
    expect(result.commits).toBeGreaterThan(1_000);
    expect(result.strikes).toBeGreaterThanOrEqual(5);
    expect(news.size).toBeGreaterThan(0);
  });

  it.runIf(isLong)("is wrong when changes are published before they are seen", { timeout: 120_000 }, async () => {
    const { staler, wrong } = await runRegister({ seconds: 10, variant: "at-once", nemeses: ["replica awaited"] });
    expect(staler + wrong).toBeGreaterThan(0);
  });

  it.runIf(isLong)(
    "is staler than its bound when entries are believed whatever becomes of the feed",
    { timeout: 120_000 },
    async () => {
      const { staler } = await runRegister({ seconds: 12, variant: "no-bound", nemeses: ["consumer paused"] });
      expect(staler).toBeGreaterThan(0);
    },
  );
});

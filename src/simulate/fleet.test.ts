import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { BALANCES, createBalancer, type Balance } from "./balance.js";
import { simulateFleet, type FleetOptions, type FleetResult } from "./fleet.js";
import { Hierarchy, newTierRun, type TierRun } from "./hierarchy.js";
import { createCacheOf } from "./policies/catalogue.js";
import { simulate } from "./simulate.js";
import { toCacheSize, type CacheSize } from "./sizes.js";
import { DELETE, GET, RequestBatch, SET, type Operation } from "./trace/request-batch.js";

const fixture = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/traces/${name}`, import.meta.url));
const WEB = fixture("web.txt");
const SERVICE = fixture("service.csv");
const size = (text: string): CacheSize => toCacheSize(text, "size");

async function fleet(path: string, options: Partial<FleetOptions>): Promise<FleetResult> {
  const { fleets } = await simulateFleet({
    trace: { path },
    processes: 4,
    balance: "random",
    sizes: [size("100")],
    policies: ["lru"],
    ...options,
  });
  return fleets[0] as FleetResult;
}

describe("a fleet", () => {
  it("of one process is that process", async () => {
    const { points } = await simulate({ trace: { path: WEB }, sizes: [size("100")], policies: ["lru"] });
    const result = await fleet(WEB, { processes: 1 });

    expect(result.memoryHitRatio).toBe(points[0]?.hitRatio);
    expect(result.sourceLoads).toBe(6000 - (points[0]?.tally.hits ?? 0));
    expect(result.sharedHitRatio).toBeUndefined();
  });

  it("answers each read in one place", async () => {
    for (const balance of BALANCES) {
      const result = await fleet(WEB, { balance, sharedSize: size("500"), policies: ["tiercache"] });
      const hits = result.processes.reduce((sum, process) => sum + process.hits, 0);
      const gets = result.processes.reduce((sum, process) => sum + process.gets, 0);

      expect(gets).toBe(6000);
      expect(result.sourceLoads).toBe(Math.round((1 - result.hitRatio) * 6000));
      expect(result.memoryHitRatio).toBe(hits / gets);
      expect(result.hitRatio).toBeCloseTo(hits / gets + (result.sharedHitRatio ?? 0) * (1 - hits / gets), 10);
    }
  });

  it("has each key in one memory when keys are hashed, and so holds more", async () => {
    const random = await fleet(WEB, { balance: "random" });
    const hashed = await fleet(WEB, { balance: "hash" });
    const whole = await fleet(WEB, { processes: 1, sizes: [size("400")] });

    expect(hashed.memoryHitRatio).toBeGreaterThan(random.memoryHitRatio + 0.1);
    expect(Math.abs(hashed.memoryHitRatio - whole.memoryHitRatio)).toBeLessThan(0.03);
  });

  it("finds a client's own keys in its memory when clients are sticky", async () => {
    const random = await fleet(SERVICE, { balance: "random" });
    const sticky = await fleet(SERVICE, { balance: "sticky" });

    expect(sticky.memoryHitRatio).toBeGreaterThan(random.memoryHitRatio + 0.05);
  });

  it("loads each key once when the shared tier holds them all", async () => {
    expect((await fleet(WEB, { sharedSize: size("100%") })).sourceLoads).toBe(1754);
  });

  it("comes near the whole by a sample", async () => {
    const whole = await fleet(WEB, { sharedSize: size("500") });
    const sampled = await fleet(WEB, { sharedSize: size("500"), trace: { path: WEB, sample: 0.5 } });

    expect(Math.abs(whole.hitRatio - sampled.hitRatio)).toBeLessThan(0.05);
    expect(sampled.gets).toBe(6000);
  });

  it("has processes", async () => {
    await expect(fleet(WEB, { processes: 0 })).rejects.toThrow("Expected `processes`");
  });
});

describe("a load balancer", () => {
  const spread = (balance: Balance, of: (i: number) => readonly [id: number, client: number]): number[] => {
    const balancer = createBalancer(balance, 5, 1);
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 5000; i += 1) {
      const chosen = balancer(...of(i));
      counts[chosen] = (counts[chosen] as number) + 1;
    }
    return counts;
  };

  it("gives every process its part", () => {
    for (const balance of BALANCES) {
      for (const count of spread(balance, (i) => [i, i])) expect(Math.abs(count - 1000)).toBeLessThan(150);
    }
  });

  it("keeps what is sticky to a client, and what is hashed to a key", () => {
    expect(spread("sticky", (i) => [i, 7]).filter((count) => count > 0)).toEqual([5000]);
    expect(spread("hash", (i) => [7, i]).filter((count) => count > 0)).toEqual([5000]);
  });

  it("moves few keys when a process is added", () => {
    const four = createBalancer("hash", 4, 1);
    const five = createBalancer("hash", 5, 1);
    const moved = Array.from({ length: 5000 }, (_, id) => id).filter((id) => four(id, -1) !== five(id, -1));

    expect(Math.abs(moved.length - 1000)).toBeLessThan(150);
    expect(new Set(moved.map((id) => five(id, -1)))).toEqual(new Set([4]));
  });
});

describe("the tiers of a fleet", () => {
  const tier = (): TierRun => newTierRun(createCacheOf("lru", { amount: 10, isBytes: false }, 1), false);

  it("stay coherent: a write removes other copies, a removal all", () => {
    const memories = [tier(), tier()];
    const shared = tier();
    let at = 0;
    const hierarchy = new Hierarchy(memories, [shared], () => at);
    const run = (process: number, operation: Operation): string => {
      at = process;
      const before = [...memories, shared].map(({ tally }) => tally.hits);
      const batch = new RequestBatch();
      batch.add(0, -1, { key: 0, operation });
      batch.times[0] = 0;
      hierarchy.feed(batch);
      return [...memories, shared].map(({ tally }, tierAt) => tally.hits - (before[tierAt] as number)).join("");
    };

    expect(run(0, GET)).toBe("000");
    expect(run(0, GET)).toBe("100");
    expect(run(1, GET)).toBe("001");
    expect(run(1, GET)).toBe("010");
    run(0, SET);
    expect(run(0, GET)).toBe("100");
    expect(run(1, GET)).toBe("001");
    run(1, DELETE);
    expect(run(0, GET)).toBe("000");
    expect(run(1, GET)).toBe("001");
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "./mix.js";
import { POLICY_NAMES } from "./policies/names.js";
import { simulate, type SimulatedPoint, type SimulateOptions } from "./simulate.js";
import { toCacheSize } from "./sizes.js";

const WEB = fileURLToPath(new URL("../../test/fixtures/traces/web.txt", import.meta.url));

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-simulate-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function pointsOf(
  lines: readonly string[] | string,
  sizes: string,
  policies: string,
  options: Partial<SimulateOptions> = {},
): Promise<readonly SimulatedPoint[]> {
  const path = typeof lines === "string" ? lines : join(folder, "trace.csv");
  if (typeof lines !== "string") await writeFile(path, lines.join("\n"));
  const { points } = await simulate({
    sizes: sizes.split(",").map((text) => toCacheSize(text, "size")),
    policies: POLICY_NAMES.filter((name) => policies.split(",").includes(name)),
    ...options,
    trace: { path, ...options.trace },
  });
  return points;
}

const ALL = POLICY_NAMES.join(",");
const ONLINE = POLICY_NAMES.filter((name) => name !== "opt").join(",");

describe("a simulation", () => {
  it("runs every policy at every size, and none beats the optimum", async () => {
    const points = await pointsOf(WEB, "10,100,10%", ALL);

    expect(points).toHaveLength(3 * POLICY_NAMES.length);
    for (const { size, hitRatio, tally } of points) {
      const best = points.find((point) => point.policy === "opt" && point.size === size);
      expect(tally.gets).toBe(6000);
      expect(hitRatio).toBeGreaterThan(0.01);
      expect(hitRatio).toBeLessThanOrEqual(best?.hitRatio ?? 0);
    }
  });

  it("gives the same figures each time", async () => {
    expect(await pointsOf(WEB, "50", ALL)).toEqual(await pointsOf(WEB, "50", ALL));
  });

  it("hits all but the first requests of keys when everything fits", async () => {
    for (const { hitRatio } of await pointsOf(WEB, "100%", ALL)) expect(hitRatio).toBeCloseTo(1 - 1754 / 6000, 10);
  });

  it("runs the production tier, which beats LRU where a crawler passes by", async () => {
    const points = await pointsOf(WEB, "175", "lru,tiercache");

    expect(points[1]?.hitRatio).toBeGreaterThan((points[0]?.hitRatio ?? 1) + 0.04);
  });

  it("takes shares of all keys for sizes", async () => {
    const [share] = await pointsOf(WEB, "10%", "lru");

    expect(share?.capacity).toEqual({ amount: 175, isBytes: false });
    expect(share?.hitRatio).toBe((await pointsOf(WEB, "175", "lru"))[0]?.hitRatio);
  });
});

describe("reads, writes and removals", () => {
  const lines = ["key,op", "a,set", "a,get", "a,delete", "a,get", "a,get", "b,delete", "b,set", "b,get"];

  it("are told apart by every policy", async () => {
    for (const { tally } of await pointsOf(lines, "10", ALL)) {
      expect(tally).toMatchObject({ gets: 4, hits: 3, sets: 2, deletes: 2 });
    }
  });
});

describe("times to live", () => {
  const lines = ["key,time,ttl", "a,0,10", "a,9,10", "a,10,10", "a,20,10", "b,20,0", "b,99,0"];

  it("count from when an entry was stored, in every policy", async () => {
    for (const { tally } of await pointsOf(lines, "10", ALL)) expect(tally.hits).toBe(2);
  });

  it("are a default for requests that name none", async () => {
    for (const { tally } of await pointsOf(lines, "10", ALL, { ttl: 50_000 })) expect(tally.hits).toBe(1);
  });

  it("give room back without a read, in every policy", async () => {
    // a and b are over when c comes, so that d need not leave.
    const dead = ["key,time,ttl", "d,0,", "d,1,", "a,2,5", "b,3,5", "c,20,", "d,21,", "c,22,"];

    for (const { tally } of await pointsOf(dead, "3", ONLINE)) expect(tally.hits).toBe(3);
  });

  it("need times, from the trace or a rate", async () => {
    const timeless = ["key,size", "a,1", "a,1", "a,1"];

    await expect(pointsOf(timeless, "10", "lru", { ttl: 1500 })).rejects.toThrow("Expected `rate` to be given");
    expect((await pointsOf(timeless, "10", "lru", { ttl: 1500, rate: 1 }))[0]?.tally.hits).toBe(1);
  });
});

describe("sizes in bytes", () => {
  const lines = ["key,size", "a,60", "b,60", "a,60", "c,40", "c,40", "d,101", "d,101"];

  it("bound what is held by what it weighs", async () => {
    const [lru] = await pointsOf(lines, "100b", "lru");

    expect(lru?.tally).toMatchObject({ gets: 7, hits: 1, bytes: 462, hitBytes: 40 });
    expect(lru?.byteHitRatio).toBeCloseTo(40 / 462);
  });

  it("need sizes, from the trace or for all entries", async () => {
    await expect(pointsOf(["key", "a", "b", "a"], "2b", "lru")).rejects.toThrow("Expected `entrySize` to be given");
    expect((await pointsOf(["key", "a", "b", "a"], "2kb", "lru", { entrySize: 1024 }))[0]?.tally.hits).toBe(1);
  });

  it("take a write of another size for another entry", async () => {
    const rewritten = ["key,size,op", "a,50,set", "b,50,set", "a,80,set", "a,80,get", "b,50,get"];

    expect((await pointsOf(rewritten, "100b", "lru"))[0]?.tally.hits).toBe(1);
  });
});

describe("a sample", () => {
  it("comes near the whole, at a fraction of its keys", async () => {
    const random = seededRandom(5);
    const keys = Array.from({ length: 120_000 }, () => Math.floor(20_000 ** random()));
    await writeFile(join(folder, "large.txt"), keys.join("\n"));
    const path = join(folder, "large.txt");
    const whole = await pointsOf(path, "200,2000", "lru,s3fifo,opt");
    const sampled = await pointsOf(path, "200,2000", "lru,s3fifo,opt", { trace: { path, sample: 1 / 4 } });

    expect(sampled.map(({ capacity }) => capacity)).toEqual(whole.map(({ capacity }) => capacity));
    sampled.forEach(({ hitRatio, isApproximate }, at) => {
      expect(isApproximate).toBe(true);
      expect(Math.abs(hitRatio - (whole[at]?.hitRatio ?? 0))).toBeLessThan(0.03);
    });
    // Uncorrected it is further off: the hottest keys, of which there are few, are over- or underrepresented.
    const raw = sampled.map(({ tally }) => tally.hits / tally.gets);
    const errorOf = (ratios: readonly number[]): number =>
      ratios.reduce((sum, ratio, at) => sum + Math.abs(ratio - (whole[at]?.hitRatio ?? 0)), 0);
    expect(errorOf(sampled.map(({ hitRatio }) => hitRatio))).toBeLessThan(errorOf(raw));
  });

  it("is a part of all keys", async () => {
    await expect(pointsOf(WEB, "10", "lru", { trace: { path: WEB, sample: 1.5 } })).rejects.toThrow(
      "Expected `sample`",
    );
  });
});

describe("LRU's curve", () => {
  const run = (options: Partial<SimulateOptions>): ReturnType<typeof simulate> =>
    simulate({ trace: { path: WEB }, sizes: [toCacheSize("175", "size")], policies: ["lru"], curve: true, ...options });

  it("passes through the simulated points", async () => {
    const { lruCurve, points } = await run({});
    const below = lruCurve?.findLast(({ entries }) => entries <= 175);
    const above = lruCurve?.find(({ entries }) => entries >= 175);

    expect(below?.hitRatio).toBeLessThanOrEqual(points[0]?.hitRatio ?? 0);
    expect(above?.hitRatio).toBeGreaterThanOrEqual(points[0]?.hitRatio ?? 1);
    expect(lruCurve?.at(-1)).toEqual({ entries: 1754, hitRatio: (6000 - 1754) / 6000 });
  });

  it("is not drawn where it would not be true", async () => {
    expect((await run({ ttl: 1000, rate: 10 })).lruCurve).toBeUndefined();
  });
});

it("says so when there is nothing in a trace", async () => {
  await expect(pointsOf(["", ""], "10", "lru")).rejects.toMatchObject({ code: "ERR_TRACE_FORMAT" });
});

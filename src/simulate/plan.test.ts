import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { meanOfMixture, quantileOf, toLatency } from "./latency.js";
import { seededRandom } from "./mix.js";
import { planOf, type PlanCosts } from "./plan.js";
import { simulateGrid, type Grid, type GridCell, type GridOptions } from "./plan-grid.js";
import { toBytes } from "../tiers/memory/limits.js";
import { toCacheSize, type CacheSize } from "./sizes.js";

const WEB = fileURLToPath(new URL("../../test/fixtures/traces/web.txt", import.meta.url));
const size = (text: string): CacheSize => toCacheSize(text, "size");

function grid(options: Partial<GridOptions> = {}): Promise<Grid> {
  return simulateGrid({
    trace: { path: WEB },
    memories: [undefined, size("2%"), size("10%")],
    shared: [undefined, size("25%"), size("100%")],
    policy: "lru",
    sharedPolicy: "lru",
    processes: 2,
    balance: "random",
    entrySize: 1000,
    seed: 1,
    ...options,
  });
}

describe("a grid of sizes", () => {
  it("says where reads are answered, and adds up", async () => {
    const { cells, figures, slices } = await grid();

    expect(figures).toEqual({ requests: 6000, keys: 1754, entrySize: 1000, rate: undefined });
    expect(slices).toBe(1);
    expect(cells).toHaveLength(9);
    for (const cell of cells) {
      expect(cell.memoryShare + cell.sharedShare + cell.sourceShare).toBeCloseTo(1, 10);
      expect(cell.memoryShare > 0).toBe(cell.memory !== undefined);
      expect(cell.sharedShare > 0).toBe(cell.shared !== undefined);
      expect(cell.error).toBe(0);
    }
    expect(cells[0]?.sourceShare).toBe(1);
    expect(cells.at(-1)?.sourceShare).toBeCloseTo(1754 / 6000, 10);
    expect(cells.at(-1)?.sharedBytes).toBe(1_754_000);
  });

  it("is near the whole by samples of a large trace, and says how near", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tiercache-plan-"));
    try {
      const random = seededRandom(8);
      const keys = Array.from({ length: 150_000 }, () => Math.floor(50_000 ** random()));
      const path = join(folder, "large.txt");
      await writeFile(path, keys.join("\n"));
      const whole = await grid({ trace: { path, sample: 1 } });
      const sampled = await grid({ trace: { path, sample: 0.3 } });

      expect(sampled.sample).toBe(0.3);
      sampled.cells.forEach((cell, at) => {
        const other = whole.cells[at] as GridCell;
        expect(Math.abs(cell.sourceShare - other.sourceShare)).toBeLessThan(0.03);
        expect(Math.abs(cell.memoryBytes / other.memoryBytes - 1) < 0.05 || other.memoryBytes === 0).toBe(true);
        expect(cell.error).toBeLessThan(0.03);
      });
      expect(Math.max(...sampled.cells.map(({ error }) => error))).toBeGreaterThan(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

const cell = (
  memory: string | undefined,
  shared: string | undefined,
  parts: readonly number[],
  error = 0,
): GridCell => ({
  memory: memory === undefined ? undefined : size(memory),
  shared: shared === undefined ? undefined : size(shared),
  memoryBytes: memory === undefined ? 0 : toBytes(memory, "size"),
  sharedBytes: shared === undefined ? 0 : toBytes(shared, "size"),
  memoryShare: parts[0] as number,
  sharedShare: parts[1] as number,
  sourceShare: 1 - (parts[0] as number) - (parts[1] as number),
  error,
});

const CELLS = [
  cell(undefined, undefined, [0, 0]),
  cell("1gb", undefined, [0.9, 0]),
  cell(undefined, "1gb", [0, 0.95]),
  cell("1gb", "1gb", [0.9, 0.08], 0.015),
  cell("1gb", "4gb", [0.9, 0.0995]),
];

const COSTS: PlanCosts = {
  processes: 3,
  memoryPrice: 4,
  sharedPrice: 10,
  sourcePrice: 0,
  memoryLatency: toLatency("5us", "latency"),
  sharedLatency: toLatency("1ms", "latency"),
  sourceLatency: toLatency("20ms", "latency"),
  rate: undefined,
};

const planned = (cells: readonly GridCell[], costs: Partial<PlanCosts>, target: Parameters<typeof planOf>[2]) =>
  planOf(
    { cells, figures: { requests: 1, keys: 1, entrySize: 1, rate: undefined }, sample: 1, slices: 1 },
    { ...COSTS, ...costs },
    target,
  );

describe("a plan", () => {
  it("is the cheapest that meets the target", () => {
    expect(planned(CELLS, {}, { hitRatio: 0.93 }).best).toMatchObject({ memory: undefined, cost: 10 });
    expect(planned(CELLS, {}, { mean: 2.2 }).best).toMatchObject({ cost: 10, mean: expect.closeTo(1.95, 6) as number });
    expect(planned(CELLS, {}, { mean: 1.9 }).best).toMatchObject({ cost: 22 });
    expect(planned(CELLS, {}, { p99: 1 }).best).toMatchObject({ cost: 52, p99: expect.closeTo(1, 6) as number });
  });

  it("does not rely on the luck of a sample", () => {
    expect(planned(CELLS, {}, { hitRatio: 0.97 }).best?.cost).toBe(52);
    expect(
      planned(
        CELLS.map((one) => ({ ...one, error: 0 })),
        {},
        { hitRatio: 0.97 },
      ).best?.cost,
    ).toBe(22);
  });

  it("weighs loads against memory when they cost something", () => {
    const loads = (rate: number): number => (rate * 30 * 86_400) / 1e6;

    expect(planned(CELLS, { sourcePrice: 1, rate: 1 }, {}).best?.cost).toBeCloseTo(loads(1), 10);
    expect(planned(CELLS, { sourcePrice: 1, rate: 100 }, {}).best).toMatchObject({ sharedCost: 10, memoryCost: 0 });
    expect(planned(CELLS, { sourcePrice: 1, rate: 1000 }, {}).best).toMatchObject({ sharedCost: 40, memoryCost: 12 });
    expect(() => planned(CELLS, { sourcePrice: 1 }, {})).toThrow("Expected `rate`");
  });

  it("says what is missing when nothing meets the target", () => {
    const plan = planned(CELLS, {}, { p99: 0.1, hitRatio: 0.9 });

    expect(plan.best).toBeUndefined();
    expect(plan.rejected[0]).toMatchObject({ cost: 52, misses: ["p99"] });
    expect(plan.rejected.at(-1)?.hitRatio).toBe(0.9);
  });

  it("tells the next ones, and those that are cheaper but do not do", () => {
    const plan = planned(CELLS, {}, { hitRatio: 0.96 });

    expect(plan.best?.cost).toBe(22);
    expect(plan.alternatives.map(({ cost }) => cost)).toEqual([52]);
    expect(plan.rejected.map(({ cost }) => cost)).toEqual([10, 12, 0]);
  });
});

describe("a latency", () => {
  it("is a median, and a 99th percentile", () => {
    expect(toLatency("500us", "latency")).toEqual({ median: 0.5, p99: 0.5 });
    expect(toLatency("20ms/1s", "latency")).toEqual({ median: 20, p99: 1000 });
    for (const text of ["", "20", "ms", "20ms/10ms", "1ms/2ms/3ms", "0ms"]) {
      expect(() => toLatency(text, "latency")).toThrow("`latency`");
    }
  });

  it("of one place has its percentiles again", () => {
    const parts = [{ share: 1, latency: toLatency("20ms/80ms", "latency") }];

    expect(quantileOf(parts, 0.99)).toBeCloseTo(80, 3);
    expect(quantileOf(parts, 0.5)).toBeCloseTo(20, 3);
  });

  it("of several places is what chance gives", () => {
    const parts = [
      { share: 0.9, latency: toLatency("1ms/4ms", "latency") },
      { share: 0.1, latency: toLatency("20ms/80ms", "latency") },
    ];
    const random = seededRandom(3);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const drawn = Array.from({ length: 400_000 }, () => {
      const { median, p99 } = (parts[random() < 0.9 ? 0 : 1] as (typeof parts)[0]).latency;
      return median * Math.exp((normal() * Math.log(p99 / median)) / 2.3263);
    }).toSorted((a, b) => a - b);

    expect(quantileOf(parts, 0.99) / (drawn[396_000] as number)).toBeCloseTo(1, 1);
    expect(meanOfMixture(parts) / (drawn.reduce((sum, value) => sum + value, 0) / drawn.length)).toBeCloseTo(1, 1);
  });
});

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import type { Filled } from "../bench/memory/sizing.js";
import { createCache, memory } from "../src/index.js";

const MIB = 2 ** 20;
const SCRIPT = fileURLToPath(new URL("../bench/memory/sizing-child.ts", import.meta.url));

/** In a process of its own: here the test runner's heap moves by more than the cache holds. */
async function filled(shape: string, bytes: number): Promise<Filled> {
  const args = ["--expose-gc", "--import", "tsx", SCRIPT, "--shape", shape, "--bytes", String(bytes)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Filled;
}

describe("maxBytes", () => {
  // `npm run bench -- memory --only sizing` weighs more shapes and larger caches, on a quiet machine to within 15 %.
  it.each(["tiny: a number", "small flat object", "20 rows of an array", "200 numbers, half of them fractions"])(
    "is what a full cache of one shape takes of the heap, within a fifth (%s)",
    async (shape) => {
      const { heap } = await filled(shape, 16 * MIB);
      expect(heap / (16 * MIB)).toBeGreaterThan(0.8);
      expect(heap / (16 * MIB)).toBeLessThan(1.2);
    },
  );

  it("counts keys and tags", async () => {
    const held = async (key: string, tags: readonly string[]): Promise<number> => {
      await using cache = createCache({ name: "crm", tiers: [memory()], ttl: "1h" });
      await cache.set(key, 1, { tags });
      return cache.stats().memory?.bytes ?? 0;
    };
    const plain = await held("k", []);
    expect((await held("k".repeat(1_001), [])) - plain).toBeGreaterThanOrEqual(1_000);
    expect((await held("k", ["t".repeat(1_000)])) - plain).toBeGreaterThanOrEqual(1_000);
  });

  it("goes by sizeOf where that is given, and not by the value", async () => {
    const asked: unknown[] = [];
    const sizeOf = (value: unknown): number => {
      asked.push(value);
      return 100_000;
    };
    const tiers = [memory({ maxBytes: 1_000_000, sizeOf })];
    await using cache = createCache({ name: "crm", tiers, ttl: "1h" });
    for (let i = 0; i < 50; i += 1) await cache.set(`k${i}`, { i });
    expect(asked).toHaveLength(50);
    expect(asked[7]).toEqual({ i: 7 });
    // The key and what is kept with it count besides.
    expect(cache.stats().memory).toMatchObject({ entries: 9 });
    await using heedless = createCache({ name: "crm", tiers: [memory({ maxBytes: 1_000_000 })], ttl: "1h" });
    for (let i = 0; i < 50; i += 1) await heedless.set(`k${i}`, { i });
    expect(heedless.stats().memory).toMatchObject({ entries: 50 });
  });
});

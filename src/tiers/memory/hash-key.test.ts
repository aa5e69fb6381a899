import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashKey } from "./hash-key.js";

describe("hashKey", () => {
  it("gives 30 bits, the same for the same key and seed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(0xffff), { maxLength: 300, size: "max" }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (units, seed) => {
          const hash = hashKey(String.fromCharCode(...units), seed);
          expect(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 30).toBe(true);
          expect(hashKey(String.fromCharCode(...units), seed)).toBe(hash);
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([0, 1, 2, 12_345, 2 ** 32 - 1])(
    "spreads keys that differ in a counter evenly over low and high bits, seeded %i",
    (seed) => {
      const low = new Int32Array(64);
      const high = new Int32Array(64);
      const keys = 64_000; // 1000 per cell, σ ≈ 31
      for (let i = 0; i < keys; i += 1) {
        const hash = hashKey(`user:${i}:profile`, seed);
        low[hash & 63] = (low[hash & 63] as number) + 1;
        high[hash >>> 24] = (high[hash >>> 24] as number) + 1;
      }
      for (const count of [...low, ...high]) expect(Math.abs(count - 1000)).toBeLessThan(160);
    },
  );

  it("separates under another seed the keys that collide under one", () => {
    const bySeed = new Map<number, string>();
    const pairs: [string, string][] = [];
    for (let i = 0; i < 200_000 && pairs.length < 10; i += 1) {
      const key = i.toString(36);
      const other = bySeed.get(hashKey(key, 1));
      if (other !== undefined) pairs.push([key, other]);
      bySeed.set(hashKey(key, 1), key);
    }
    expect(pairs.length).toBeGreaterThan(3);
    for (const [a, b] of pairs) expect(hashKey(a, 2)).not.toBe(hashKey(b, 2));
  });

  it("tells long keys apart by their ends and their length", () => {
    const long = "x".repeat(5000);
    const hashes = [long, `a${long}`, `${long}a`, `b${long}`, `${long}x`].map((key) => hashKey(key, 7));
    expect(new Set(hashes).size).toBe(5);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashKey, KeyHash } from "./hash-key.js";

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

describe("KeyHash", () => {
  it("gives the same 32 bits for a key in one piece and in pieces", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), fc.integer(), (head, rest, seed) => {
        const hash = new KeyHash(seed);
        const units = Uint16Array.from({ length: rest.length + 2 }, (_, at) => rest.charCodeAt(at - 1));
        const whole = hash.of(head + rest);
        expect(whole | 0).toBe(whole);
        expect(hash.ofUnits(hash.after(head), units, 1, 1 + rest.length)).toBe(whole);
      }),
    );
  });

  it("depends on every unit of a long key", () => {
    const hash = new KeyHash(7);
    const long = "x".repeat(2000);
    const hashes = new Set([hash.of(long)]);
    for (let at = 0; at < long.length; at += 1) hashes.add(hash.of(`${long.slice(0, at)}y${long.slice(at + 1)}`));
    expect(hashes.size).toBe(2001);
  });

  it("does not collide under every seed for units that differ in their highest bits only", () => {
    const texts = Array.from({ length: 2 ** 12 }, (_, bits) =>
      Array.from({ length: 12 }, (_unit, at) => ((bits >> at) & 1 ? "\u8000" : "\0")).join(""),
    );
    for (const seed of [1, 2, 3]) {
      const hash = new KeyHash(seed);
      // By chance there are none, or one or two.
      expect(new Set(texts.map((text) => hash.of(text))).size).toBeGreaterThan(texts.length - 8);
    }
  });

  it("spreads keys that differ in a counter evenly over low bits and high ones", () => {
    const hash = new KeyHash(11);
    const low = new Int32Array(64);
    const high = new Int32Array(64);
    for (let id = 0; id < 64_000; id += 1) {
      const bits = hash.of(`acme:contact:${id}:v1`);
      low[bits & 63] = (low[bits & 63] as number) + 1;
      high[bits >>> 26] = (high[bits >>> 26] as number) + 1;
    }
    for (const count of [...low, ...high]) expect(Math.abs(count - 1000)).toBeLessThan(160);
  });
});

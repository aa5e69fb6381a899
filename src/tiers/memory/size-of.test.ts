import { describe, expect, it } from "vitest";
import { sizeOf } from "./size-of.js";

/** Heap per value on Node 20, 64 bits, measured over thousands of copies of each shape. */
const MEASURED: readonly (readonly [name: string, make: () => unknown, bytes: number])[] = [
  ["a small record", () => ({ id: 1, name: "n12345", ok: true }), 73],
  ["a record of two doubles", () => ({ a: 0.5, b: 1.5 }), 87],
  ["100 doubles", () => Array.from({ length: 100 }, (_, i) => i + 0.5), 867],
  ["a string", () => "x".repeat(205), 224],
  ["a wide string", () => "é漢".repeat(50) + "12345", 228],
  [
    "a map of three",
    () =>
      new Map([
        ["a1", 1],
        ["b1", 2],
        ["c1", 3],
      ]),
    257,
  ],
  ["a set of 100", () => new Set(Array.from({ length: 100 }, (_, i) => i)), 2633],
  ["1024 bytes", () => new Uint8Array(1024), 1216],
  ["a date", () => new Date(0), 111],
  ["a record of 50", () => Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, i])), 428],
];

describe("sizeOf", () => {
  it.each(MEASURED)("is within a fifth of the measured heap for %s", (_name, make, bytes) => {
    expect(sizeOf(make()) / bytes).toBeGreaterThan(0.8);
    expect(sizeOf(make()) / bytes).toBeLessThan(1.2);
  });

  it.each([undefined, null, true, 0, 12, -7])("counts nothing for %s, which lives in the pointer", (value) => {
    expect(sizeOf(value)).toBe(0);
  });

  it("counts doubles and big integers, which do not", () => {
    expect(sizeOf(0.5)).toBe(16);
    expect(sizeOf(2 ** 40)).toBe(16);
    expect(sizeOf(2n ** 64n)).toBe(32);
  });

  it("counts what is nested", () => {
    const leaf = { text: "x".repeat(1000) };
    expect(sizeOf({ a: [leaf, new Map([["k", leaf]])] })).toBeGreaterThan(2000);
  });

  it("takes the unmeasured rest of a long array to be like the measured part", () => {
    const rows = Array.from({ length: 10_000 }, (_, i) => ({ name: `row number ${i}` }));
    const one = sizeOf(rows[5000]);
    expect(sizeOf(rows) / (10_000 * (one + 8))).toBeCloseTo(1, 1);
  });

  it("comes to an end on a cycle and on deep nesting", () => {
    const ring: { self?: unknown; text: string } = { text: "x" };
    ring.self = [ring, ring];
    let deep: unknown = "bottom";
    for (let i = 0; i < 100_000; i += 1) deep = { deep };
    expect(sizeOf(ring)).toBeGreaterThan(0);
    expect(sizeOf(deep)).toBeGreaterThan(0);
  });
});

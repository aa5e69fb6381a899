import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrequencySketch } from "./frequency-sketch.js";
import { hashKey } from "./hash-key.js";

function hashes(count: number, seed = 99): number[] {
  return Array.from({ length: count }, (_, i) => hashKey(`key:${i}`, seed));
}

describe("FrequencySketch", () => {
  it("never tells less than the true count, up to 15, before it ages", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40), { maxLength: 500, size: "max" }), (ids) => {
        const sketch = new FrequencySketch(64);
        const keys = hashes(41);
        const counts = new Map<number, number>();
        for (const id of ids) {
          sketch.increment(keys[id] as number);
          counts.set(id, (counts.get(id) ?? 0) + 1);
        }
        for (const [id, count] of counts) {
          expect(sketch.frequency(keys[id] as number)).toBeGreaterThanOrEqual(Math.min(15, count));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("stops at 15", () => {
    const sketch = new FrequencySketch(64);
    for (let i = 0; i < 40; i += 1) sketch.increment(5);
    expect(sketch.frequency(5)).toBe(15);
  });

  it("tells most keys exactly when as many were seen as it is made for", () => {
    const capacity = 4096;
    const sketch = new FrequencySketch(capacity);
    const keys = hashes(capacity);
    for (const key of keys) sketch.increment(key);
    const exact = keys.filter((key) => sketch.frequency(key) === 1).length;
    const strangers = hashes(capacity, 7).filter((key) => sketch.frequency(key) === 0).length;
    expect(exact / capacity).toBeGreaterThan(0.9);
    expect(strangers / capacity).toBeGreaterThan(0.9);
  });

  it("keeps the popular above the rest with several times more keys than its capacity", () => {
    const sketch = new FrequencySketch(1024);
    const popular = hashes(100, 1);
    const rare = hashes(4000, 2);
    rare.forEach((key, i) => {
      sketch.increment(key);
      sketch.increment(popular[i % popular.length] as number);
    });
    const mean = (keys: number[]): number => keys.reduce((sum, key) => sum + sketch.frequency(key), 0) / keys.length;
    expect(mean(popular)).toBeGreaterThan(2 * mean(rare));
  });

  it("halves every count after 12 increments per entry", () => {
    const sketch = new FrequencySketch(16);
    const [popular, other] = hashes(2) as [number, number];
    for (let i = 0; i < 10; i += 1) sketch.increment(popular);
    const before = sketch.frequency(popular);
    // Different keys, since an increment at 15 is none.
    for (const key of hashes(16 * 12 - 10, 3)) sketch.increment(key);
    const after = sketch.frequency(popular);
    expect(before).toBe(10);
    expect(after).toBeLessThanOrEqual(7);
    expect(after).toBeGreaterThanOrEqual(5);
    expect(sketch.frequency(other)).toBeLessThanOrEqual(7);
  });

  it("forgets what is no longer seen", () => {
    const sketch = new FrequencySketch(64);
    const [popular] = hashes(1) as [number];
    for (let i = 0; i < 15; i += 1) sketch.increment(popular);
    for (const key of hashes(64 * 12 * 8, 5)) sketch.increment(key);
    const crowd = hashes(200, 6).map((key) => sketch.frequency(key));
    const mean = crowd.reduce((sum, count) => sum + count, 0) / crowd.length;
    expect(sketch.frequency(popular)).toBeLessThanOrEqual(mean + 4);
  });

  it("keeps every count while it grows", () => {
    const sketch = new FrequencySketch(16);
    const keys = hashes(20);
    keys.forEach((key, i) => {
      for (let n = 0; n < i % 8; n += 1) sketch.increment(key);
    });
    const before = keys.map((key) => sketch.frequency(key));
    sketch.ensureCapacity(1000);
    expect(sketch.capacity).toBe(1000);
    expect(keys.map((key) => sketch.frequency(key))).toEqual(before);
    sketch.ensureCapacity(10);
    expect(sketch.capacity).toBe(1000);
  });
});

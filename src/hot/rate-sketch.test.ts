import { describe, expect, it } from "vitest";
import { seededRandom } from "../../test/support/manual-clock.js";
import { hashKey } from "../tiers/memory/hash-key.js";
import { RateSketch } from "./rate-sketch.js";

describe("RateSketch", () => {
  it("never tells less than was counted, but for the share that chance has of a cell", () => {
    const sketch = new RateSketch();
    const random = seededRandom(1);
    const counts = new Map<string, number>();
    for (let read = 0; read < 50_000; read += 1) {
      const key = `k${Math.floor(5_000 ** random())}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      sketch.add(hashKey(key, 7), 1);
    }
    for (const [key, count] of counts)
      expect(sketch.count(hashKey(key, 7))).toBeGreaterThanOrEqual(count - sketch.total / 4_096 - 1e-3);
  });

  it("tells the frequent ones to a hundredth among a hundred thousand others", () => {
    const sketch = new RateSketch();
    for (let id = 0; id < 100_000; id += 1) sketch.add(hashKey(`other${id}`, 7), 1);
    for (let id = 0; id < 64; id += 1) sketch.add(hashKey(`hot${id}`, 7), 10_000);
    for (let id = 0; id < 64; id += 1) {
      const count = sketch.count(hashKey(`hot${id}`, 7));
      expect(Math.abs(count - 10_000)).toBeLessThan(200);
    }
  });

  it("takes none of a million equal keys for a frequent one", () => {
    const sketch = new RateSketch();
    for (let read = 0; read < 2_000_000; read += 1) sketch.add(hashKey(`k${read % 1_000_000}`, 7), 1);
    let most = 0;
    for (let id = 0; id < 10_000; id += 1) most = Math.max(most, sketch.count(hashKey(`k${id}`, 7)));
    // Each cell holds some 490 reads of others.
    expect(most).toBeLessThan(100);
  });

  it("fades, and forgets", () => {
    const sketch = new RateSketch();
    expect(sketch.add(11, 400)).toBeGreaterThan(399);
    sketch.fade(0.5);
    expect(sketch.count(11)).toBeCloseTo(200, 0);
    expect(sketch.total).toBe(200);
    sketch.fade(0);
    expect([sketch.count(11), sketch.total]).toEqual([0, 0]);
  });
});

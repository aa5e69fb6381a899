import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../test/support/manual-clock.js";
import { FrequencySketch } from "./frequency-sketch.js";
import { hashKey } from "./hash-key.js";
import { MiniSimulation, type ShadowOptions } from "./mini-simulation.js";
import { MissRatioCurve } from "./miss-ratio-curve.js";
import { REGIMES, type Regime } from "./regimes.js";

const LRU: Regime = { window: 1, protectedOfMain: 0.8, admission: { lead: 0 } };

/** Mattson: an LRU of `capacity` hits when fewer other keys were asked for since the last time. */
function stackHits(ids: readonly number[], capacity: number): number {
  const stack: number[] = [];
  let hits = 0;
  for (const id of ids) {
    const distance = stack.indexOf(id);
    if (distance !== -1) stack.splice(distance, 1);
    if (distance !== -1 && distance < capacity) hits += 1;
    stack.unshift(id);
  }
  return hits;
}

function contextOf(maxEntries: number, maxBytes: number = 2 ** 40) {
  return { maxEntries, maxBytes, sketch: new FrequencySketch(64), random: () => 0.99 };
}

const SCALES = [0.25, 0.5, 1, 2, 4];
const LRUS: readonly ShadowOptions[] = SCALES.map((scale) => ({ regime: LRU, scale }));
const hashes = Array.from({ length: 200 }, (_, id) => hashKey(`k${id}`, 11));

describe("MiniSimulation", () => {
  it("hits under least recently used what stack distances say, at every size", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(9), fc.nat(60)), { maxLength: 300, size: "max" }), (ids) => {
        const simulation = new MiniSimulation(contextOf(8), LRUS, 1000);
        for (const id of ids) simulation.request(hashes[id] as number, 1);
        SCALES.forEach((scale, at) => expect(simulation.hitsOf(at)).toBe(stackHits(ids, 8 * scale)));
        expect(simulation.requests).toBe(ids.length);
      }),
      { numRuns: 100 },
    );
  });

  it("counts bytes where they bind", () => {
    const simulation = new MiniSimulation(contextOf(1000, 800), LRUS, 1000);
    const ids = Array.from({ length: 2000 }, (_, i) => (i * i) % 37);
    for (const id of ids) simulation.request(hashes[id] as number, 40);
    // 800 bytes are 20 entries of 40; a quarter holds five.
    SCALES.forEach((scale, at) => expect(simulation.hitsOf(at)).toBe(stackHits(ids, 20 * scale)));
  });

  it("goes by the newest weight of a key", () => {
    const simulation = new MiniSimulation(contextOf(1000, 100), [{ regime: LRU, scale: 1 }], 1000);
    const [one, other] = hashes as [number, number];
    simulation.request(one, 5);
    simulation.request(other, 5);
    simulation.request(one, 5);
    expect(simulation.hitsOf(0)).toBe(1);
    simulation.request(other, 99);
    expect(simulation.hitsOf(0)).toBe(2);
    // It grew, and there is no room for both.
    simulation.request(one, 5);
    expect(simulation.hitsOf(0)).toBe(2);
  });

  it("samples more rarely as the cache fills, and forgets those that are not in the sample any more", () => {
    const context = contextOf(4096);
    const simulation = new MiniSimulation(context, [{ regime: LRU, scale: 1 }], 512);
    const keys = Array.from({ length: 3600 }, (_, id) => hashKey(`s${id}`, 3));
    expect(simulation.limit).toBe(2 ** 30);
    keys.forEach((hash, i) => {
      simulation.fit(i + 1);
      if (hash < simulation.limit) simulation.request(hash, 1);
    });
    expect(simulation.rate).toBe(1 / 8);
    simulation.forget(0);
    const sampled = keys.filter((hash) => hash < simulation.limit);
    expect(sampled.length).toBeGreaterThan(400);
    for (const hash of sampled) simulation.request(hash, 1);
    expect(simulation.hitsOf(0)).toBeGreaterThan(0.9 * sampled.length);
  });

  it("does not count while it recovers", () => {
    const simulation = new MiniSimulation(contextOf(8), LRUS, 1000);
    simulation.recover(3);
    for (let i = 0; i < 5; i += 1) simulation.request(hashes[0] as number, 1);
    expect([simulation.requests, simulation.hitsOf(2)]).toEqual([2, 2]);
  });
});

describe("MissRatioCurve", () => {
  it("tells what an LRU of another size would have hit, to within two points, from a sample", () => {
    const random = seededRandom(5);
    const ids = Array.from({ length: 150_000 }, () => Math.floor(20_000 ** random()) - 1);
    const curve = new MissRatioCurve(contextOf(1024), LRU);
    curve.fit(1024);
    const exact = new MiniSimulation(contextOf(1024), LRUS, 2 ** 20);
    for (const id of ids) {
      const hash = hashKey(`k${id}`, 17);
      const before = exact.hitsOf(2);
      exact.request(hash, 1);
      curve.count(exact.hitsOf(2) - before, 1, 1);
      if (hash < curve.limit) curve.request(hash, 1);
    }
    const points = curve.points();
    expect(points.map(({ capacity }) => capacity)).toEqual(SCALES);
    points.forEach(({ hitRatio }, at) => expect(Math.abs(hitRatio - exact.hitsOf(at) / ids.length)).toBeLessThan(0.02));
  });

  it("tells today's measured hit ratio at today's capacity, and never falls", () => {
    const random = seededRandom(9);
    for (const regime of REGIMES) {
      const curve = new MissRatioCurve(contextOf(40), regime);
      expect(curve.points()).toEqual([]);
      for (let i = 0; i < 3000; i += 1) {
        curve.count(i % 3 === 0 ? 1 : 0, 1, 1);
        curve.request(hashes[Math.floor(200 * random() * random())] as number, 1);
      }
      const ratios = curve.points().map(({ hitRatio }) => hitRatio);
      expect(ratios[2]).toBeCloseTo(1 / 3, 2);
      expect(ratios.toSorted((a, b) => a - b)).toEqual(ratios);
    }
  });

  it("follows the requests: what was long ago counts no more", () => {
    const curve = new MissRatioCurve(contextOf(40), LRU);
    const ask = (id: number): void => {
      curve.count(0, 1, 1);
      curve.request(hashes[id] as number, 1);
    };
    // First only what four times the capacity would hold, then what no size would help.
    for (let i = 0; i < 30_000; i += 1) ask(i % 100);
    expect(curve.points()[4]?.hitRatio).toBeGreaterThan(0.9);
    for (let i = 0; i < 100_000; i += 1) ask(i % 199);
    expect(curve.points()[4]?.hitRatio).toBeLessThan(0.2);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLru } from "./policies/lru.js";
import { StackDistances } from "./stack-distances.js";

const SIZES = [1, 2, 3, 5, 8, 13, 21, 60];

describe("LRU's curve", () => {
  it("has the hits of a simulation at each size", () => {
    const ids = fc.array(fc.oneof(fc.nat(9), fc.nat(50)), { maxLength: 400, size: "max" });
    fc.assert(
      fc.property(ids, (trace) => {
        const distances = new StackDistances();
        for (const id of trace) distances.request(id, true);
        for (const size of SIZES) {
          const lru = createLru(size);
          expect(distances.hits(size)).toBe(trace.filter((id) => lru.request(id, 1)).length);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("stays true when times are numbered anew, many times", () => {
    const distances = new StackDistances();
    const lru = SIZES.map((size) => createLru(size));
    const hits = SIZES.map(() => 0);
    let id = 7;
    for (let i = 0; i < 60_000; i += 1) {
      id = (id * 31 + i) % (i % 3 === 0 ? 2003 : 41);
      distances.request(id, true);
      lru.forEach((policy, at) => (hits[at] = (hits[at] as number) + Number(policy.request(id, 1))));
    }

    expect(SIZES.map((size) => distances.hits(size))).toEqual(hits);
    expect(hits.at(-1)).toBeGreaterThan(1000);
  });

  it("goes from one entry to all keys, and never down", () => {
    const distances = new StackDistances();
    for (let i = 0; i < 5000; i += 1) distances.request((i * i) % 977, true);
    const curve = distances.curve(20);

    expect(curve[0]?.entries).toBe(1);
    const keys = new Set(Array.from({ length: 5000 }, (_, i) => (i * i) % 977)).size;
    expect(curve.at(-1)).toEqual({ entries: keys, hitRatio: (5000 - keys) / 5000 });
    expect(curve.map(({ hitRatio }) => hitRatio)).toEqual(
      curve.map(({ hitRatio }) => hitRatio).toSorted((a, b) => a - b),
    );
  });

  it("takes writes for uses that are no hits", () => {
    const distances = new StackDistances();
    distances.request(1, false);
    distances.request(1, true);
    distances.request(1, false);

    expect(distances.hits(1)).toBe(1);
    expect(distances.curve(2)).toEqual([{ entries: 1, hitRatio: 1 }]);
  });
});

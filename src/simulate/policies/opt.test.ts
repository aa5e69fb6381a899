import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Recording } from "../recording.js";
import { DELETE, GET, RequestBatch, SET, type TraceRequest } from "../trace/request-batch.js";
import { nextReads, simulateOpt } from "./opt.js";

const KEYS = 6;

function hitsOf(requests: readonly TraceRequest[], amount: number, isBytes = false): number {
  const batch = new RequestBatch();
  for (const request of requests) batch.add(request.key as number, -1, request);
  const recording = new Recording();
  recording.add(batch);
  return simulateOpt(recording, KEYS, { capacity: { amount, isBytes } }, nextReads(recording, KEYS)).hits;
}

/** The most hits that any choices give: every subset that may be held is tried. */
function mostHits(requests: readonly TraceRequest[], capacity: number): number {
  let best = new Map<number, number>([[0, 0]]);
  for (const { key, operation } of requests) {
    const next = new Map<number, number>();
    const bit = 1 << (key as number);
    for (const [held, hits] of best) {
      const isHit = operation === GET && (held & bit) !== 0;
      const with_ = operation === DELETE ? held & ~bit : held | bit;
      for (let subset = with_; ; subset = (subset - 1) & with_) {
        const total = hits + (isHit ? 1 : 0);
        if (countOf(subset) <= capacity && total >= (next.get(subset) ?? 0)) next.set(subset, total);
        if (subset === 0) break;
      }
    }
    best = next;
  }
  return Math.max(...best.values());
}

function countOf(set: number): number {
  return set === 0 ? 0 : (set & 1) + countOf(set >> 1);
}

const requests = fc.array(
  fc.record({ key: fc.nat(KEYS - 1), operation: fc.constantFrom(GET, GET, GET, SET, DELETE) }),
  { maxLength: 40, size: "max" },
);

describe("the optimum", () => {
  it("has as many hits as the best of all possible choices, with writes and removals", () => {
    fc.assert(
      fc.property(requests, fc.integer({ min: 1, max: 4 }), (trace, capacity) => {
        expect(hitsOf(trace, capacity)).toBe(mostHits(trace, capacity));
      }),
      { numRuns: 300 },
    );
  });

  it("reads nothing after its time to live", () => {
    const read = (key: number, time: number): TraceRequest => ({ key, operation: GET, time, ttl: 100 });

    expect(hitsOf([read(0, 0), read(0, 99), read(0, 100), read(0, 150)], 1)).toBe(2);
    // 1 is read within its time and 0 is not: 0 makes room.
    expect(hitsOf([read(0, 0), read(1, 10), read(1, 50), read(0, 120)], 1)).toBe(1);
    // 0 would be read sooner, but just when its time is over.
    expect(hitsOf([read(0, 0), read(1, 10), read(0, 100), read(1, 105)], 1)).toBe(1);
  });

  it("holds no more bytes than it may", () => {
    const read = (key: number, size: number): TraceRequest => ({ key, operation: GET, size });

    expect(hitsOf([read(0, 60), read(1, 60), read(0, 60), read(1, 60)], 100, true)).toBe(1);
    expect(hitsOf([read(0, 60), read(1, 40), read(0, 60), read(1, 40)], 100, true)).toBe(2);
    expect(hitsOf([read(0, 101), read(0, 101)], 100, true)).toBe(0);
  });
});

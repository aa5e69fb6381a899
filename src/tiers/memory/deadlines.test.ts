import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Deadlines } from "./deadlines.js";

const TICK = 128;
const YEAR = 365 * 86_400_000;
const NONE = Number.POSITIVE_INFINITY;

function deadlinesOf(slots: number): Deadlines {
  const deadlines = new Deadlines();
  deadlines.resize(slots);
  return deadlines;
}

function expiredAt(deadlines: Deadlines, now: number, most = 1_000_000): number[] {
  const slots: number[] = [];
  deadlines.advance(now, most, (slot) => slots.push(slot));
  return slots.sort((a, b) => a - b);
}

/** Runs them as their owner does: nothing happens but at the times it asks for. */
function runUntil(deadlines: Deadlines, end: number, each: (now: number, slots: number[]) => void): void {
  while (deadlines.nextTime <= end) {
    const now = deadlines.nextTime;
    each(now, expiredAt(deadlines, now));
  }
}

describe("Deadlines", () => {
  it("expires exactly what a sorted list would, within a tick, for any mix of schedules, removals and jumps", () => {
    const slot = fc.nat(7);
    const length = fc.oneof(
      fc.integer({ min: -500, max: 500 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.integer({ min: 0, max: 40_000_000 }),
      fc.integer({ min: 0, max: 6 * YEAR }),
    );
    const step = fc.oneof(
      fc.record({ kind: fc.constant("schedule" as const), slot, ms: length }),
      fc.record({ kind: fc.constant("forever" as const), slot, ms: fc.constant(0) }),
      fc.record({ kind: fc.constant("remove" as const), slot, ms: fc.constant(0) }),
      fc.record({ kind: fc.constant("advance" as const), slot, ms: length }),
    );
    const start = fc.constantFrom(0, 0.25, 1_700_000_000_000, -5_000_000);
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 40, size: "max" }), (begin, steps) => {
        let now = begin;
        const deadlines = deadlinesOf(8);
        const model = new Map<number, number>();
        for (const { kind, slot, ms } of steps) {
          if (kind === "schedule") {
            deadlines.set(slot, now + Math.abs(ms));
            model.set(slot, now + Math.abs(ms));
          } else if (kind === "forever") {
            deadlines.set(slot, NONE);
            model.delete(slot);
          } else if (kind === "remove") {
            deadlines.remove(slot);
            model.delete(slot);
          } else {
            // Also back: a clock that steps back must not lose anything.
            now += ms;
            for (const gone of expiredAt(deadlines, now)) {
              expect(model.get(gone)).toBeLessThanOrEqual(now);
              model.delete(gone);
            }
            const overdue = [...model.values()].filter((deadline) => deadline <= now - 2 * TICK);
            expect(overdue).toEqual([]);
          }
          expect(deadlines.size).toBe(model.size);
          for (let s = 0; s < 8; s += 1) expect(deadlines.of(s)).toBe(model.get(s) ?? NONE);
        }
        const end = now + 20 * YEAR;
        runUntil(deadlines, end, (at, gone) => {
          for (const s of gone) {
            const deadline = model.get(s) as number;
            expect(deadline).toBeLessThanOrEqual(at);
            expect(at).toBeLessThan(Math.max(deadline, now) + 2 * TICK);
            model.delete(s);
          }
        });
        expect(model.size).toBe(0);
        expect(deadlines.nextTime).toBe(NONE);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["a millisecond", 1],
    ["a minute", 60_000],
    ["an hour", 3_600_000],
    ["a month", 30 * 86_400_000],
    ["ten years", 10 * YEAR],
  ])("wakes few times for a single deadline in %s and expires it within a tick", (_name, ms) => {
    const deadlines = deadlinesOf(1);
    deadlines.set(0, ms);
    let wakes = 0;
    let expired = -1;
    runUntil(deadlines, 20 * YEAR, (now, slots) => {
      wakes += 1;
      if (slots.length > 0) expired = now;
    });
    expect(expired - ms).toBeGreaterThanOrEqual(0);
    expect(expired - ms).toBeLessThan(TICK);
    expect(wakes).toBeLessThanOrEqual(8);
  });

  it("tells which slots are due", () => {
    const deadlines = deadlinesOf(3);
    expect(deadlines.isDue(0, YEAR)).toBe(false);
    deadlines.set(1, 1000);
    expect([0, 1, 2].map((slot) => deadlines.isDue(slot, 999))).toEqual([false, false, false]);
    expect([0, 1, 2].map((slot) => deadlines.isDue(slot, 1000))).toEqual([false, true, false]);
    deadlines.remove(1);
    expect(deadlines.isDue(1, YEAR)).toBe(false);
  });

  it("expires a deadline in the past at the next tick", () => {
    const deadlines = deadlinesOf(1);
    deadlines.set(0, 5);
    expect(expiredAt(deadlines, 10_000 + TICK)).toEqual([0]);
  });

  it("leaves a slot whose deadline moved back until the later one", () => {
    const deadlines = deadlinesOf(1);
    deadlines.set(0, 1000);
    deadlines.set(0, 100_000);
    expect(expiredAt(deadlines, 99_999)).toEqual([]);
    expect(expiredAt(deadlines, 100_000 + TICK)).toEqual([0]);
  });

  it("expires a slot whose deadline moved forward at the earlier one", () => {
    const deadlines = deadlinesOf(1);
    deadlines.set(0, 100_000);
    deadlines.set(0, 1000);
    expect(deadlines.nextTime).toBeLessThanOrEqual(1000 + TICK);
    expect(expiredAt(deadlines, 1000 + TICK)).toEqual([0]);
    expect(expiredAt(deadlines, 200_000)).toEqual([]);
  });

  it("has nothing to wake for when no slot has a deadline", () => {
    const deadlines = deadlinesOf(2);
    expect(deadlines.nextTime).toBe(NONE);
    deadlines.set(0, NONE);
    expect(deadlines.nextTime).toBe(NONE);
    deadlines.set(1, 500);
    deadlines.remove(1);
    expect(deadlines.nextTime).toBe(NONE);
  });

  it("looks at no more slots than asked, and goes on where it stopped", () => {
    const deadlines = deadlinesOf(100);
    for (let slot = 0; slot < 100; slot += 1) deadlines.set(slot, 1000);
    const seen = new Set<number>();
    for (let round = 0; round < 10; round += 1) {
      const gone = expiredAt(deadlines, 2000, 10);
      expect(gone).toHaveLength(10);
      for (const slot of gone) seen.add(slot);
      if (round < 9) expect(deadlines.nextTime).toBeLessThanOrEqual(2000);
      // A newcomer between two rounds is not lost either.
      if (round === 4) deadlines.set(gone[0] as number, 3000);
    }
    expect(seen.size).toBe(100);
    expect(deadlines.size).toBe(1);
    expect(expiredAt(deadlines, 3000 + TICK)).toHaveLength(1);
  });

  it("takes no more than asked over many pages, and looks at a bounded number of them", () => {
    const slots = 300_001;
    const deadlines = deadlinesOf(slots);
    for (let slot = 0; slot < slots; slot += 1) deadlines.set(slot, slot === slots - 1 ? 5000 : 1000);
    expect(expiredAt(deadlines, 2000, 1_000)).toHaveLength(1_000);
    expect(deadlines.nextTime).toBeLessThanOrEqual(2000);
    const gone = expiredAt(deadlines, 2000).length;
    expect(gone).toBeLessThan(200_000);
    expect(deadlines.nextTime).toBeLessThanOrEqual(2000);
    while (deadlines.nextTime <= 2000) expiredAt(deadlines, 2000);
    expect([deadlines.size, deadlines.of(slots - 1)]).toEqual([1, 5000]);
    expect(expiredAt(deadlines, 5000 + TICK)).toEqual([slots - 1]);
  });
});

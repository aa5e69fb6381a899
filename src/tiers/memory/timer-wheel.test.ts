import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TimerWheel } from "./timer-wheel.js";

const TICK = 128;
const YEAR = 365 * 86_400_000;
const NONE = Number.POSITIVE_INFINITY;

function wheelOf(slots: number, now = 0): TimerWheel {
  const wheel = new TimerWheel(now);
  wheel.resize(slots);
  return wheel;
}

function expiredAt(wheel: TimerWheel, now: number, most = 1_000_000): number[] {
  const slots: number[] = [];
  wheel.advance(now, most, (slot) => slots.push(slot));
  return slots.sort((a, b) => a - b);
}

/** Runs the wheel as its owner does: nothing happens but at the times it asks for. */
function runUntil(wheel: TimerWheel, end: number, each: (now: number, slots: number[]) => void): void {
  while (wheel.nextTime <= end) {
    const now = wheel.nextTime;
    each(now, expiredAt(wheel, now));
  }
}

describe("TimerWheel", () => {
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
        const wheel = wheelOf(8, now);
        const model = new Map<number, number>();
        for (const { kind, slot, ms } of steps) {
          if (kind === "schedule") {
            wheel.schedule(slot, now + Math.abs(ms));
            model.set(slot, now + Math.abs(ms));
          } else if (kind === "forever") {
            wheel.schedule(slot, NONE);
            model.delete(slot);
          } else if (kind === "remove") {
            wheel.remove(slot);
            model.delete(slot);
          } else {
            // Also back: a clock that steps back must not lose anything.
            now += ms;
            for (const gone of expiredAt(wheel, now)) {
              expect(model.get(gone)).toBeLessThanOrEqual(now);
              model.delete(gone);
            }
            const overdue = [...model.values()].filter((deadline) => deadline <= now - 2 * TICK);
            expect(overdue).toEqual([]);
          }
          expect(wheel.size).toBe(model.size);
          for (let s = 0; s < 8; s += 1) expect(wheel.deadlineOf(s)).toBe(model.get(s) ?? NONE);
        }
        const end = now + 20 * YEAR;
        runUntil(wheel, end, (at, gone) => {
          for (const s of gone) {
            const deadline = model.get(s) as number;
            expect(deadline).toBeLessThanOrEqual(at);
            expect(at).toBeLessThan(Math.max(deadline, now) + 2 * TICK);
            model.delete(s);
          }
        });
        expect(model.size).toBe(0);
        expect(wheel.nextTime).toBe(NONE);
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
    const wheel = wheelOf(1);
    wheel.schedule(0, ms);
    let wakes = 0;
    let expired = -1;
    runUntil(wheel, 20 * YEAR, (now, slots) => {
      wakes += 1;
      if (slots.length > 0) expired = now;
    });
    expect(expired - ms).toBeGreaterThanOrEqual(0);
    expect(expired - ms).toBeLessThan(TICK);
    expect(wakes).toBeLessThanOrEqual(8);
  });

  it("expires a deadline in the past at the next tick", () => {
    const wheel = wheelOf(1, 10_000);
    wheel.schedule(0, 5);
    expect(expiredAt(wheel, 10_000 + TICK)).toEqual([0]);
  });

  it("leaves a slot whose deadline moved back until the later one", () => {
    const wheel = wheelOf(1);
    wheel.schedule(0, 1000);
    wheel.schedule(0, 100_000);
    expect(expiredAt(wheel, 99_999)).toEqual([]);
    expect(expiredAt(wheel, 100_000 + TICK)).toEqual([0]);
  });

  it("expires a slot whose deadline moved forward at the earlier one", () => {
    const wheel = wheelOf(1);
    wheel.schedule(0, 100_000);
    wheel.schedule(0, 1000);
    expect(wheel.nextTime).toBeLessThanOrEqual(1000 + TICK);
    expect(expiredAt(wheel, 1000 + TICK)).toEqual([0]);
    expect(expiredAt(wheel, 200_000)).toEqual([]);
  });

  it("has nothing to wake for when no slot has a deadline", () => {
    const wheel = wheelOf(2);
    expect(wheel.nextTime).toBe(NONE);
    wheel.schedule(0, NONE);
    expect(wheel.nextTime).toBe(NONE);
    wheel.schedule(1, 500);
    wheel.remove(1);
    expect(wheel.nextTime).toBe(NONE);
  });

  it("looks at no more slots than asked, and goes on where it stopped", () => {
    const wheel = wheelOf(100);
    for (let slot = 0; slot < 100; slot += 1) wheel.schedule(slot, 1000);
    const seen = new Set<number>();
    for (let round = 0; round < 10; round += 1) {
      const gone = expiredAt(wheel, 2000, 10);
      expect(gone).toHaveLength(10);
      for (const slot of gone) seen.add(slot);
      if (round < 9) expect(wheel.nextTime).toBeLessThanOrEqual(2000);
      // A newcomer between two rounds is not lost either.
      if (round === 4) wheel.schedule(gone[0] as number, 3000);
    }
    expect(seen.size).toBe(100);
    expect(wheel.size).toBe(1);
    expect(expiredAt(wheel, 3000 + TICK)).toHaveLength(1);
  });
});

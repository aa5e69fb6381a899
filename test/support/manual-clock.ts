import assert from "node:assert/strict";
import type { Clock, Timer } from "../../src/clock.js";

/** A clock that stands still until it is told, and fires its timers synchronously. */
export class ManualClock implements Clock {
  time: number = 0;
  readonly timers: Map<() => void, number> = new Map();

  recent(): number {
    return this.now();
  }

  now(): number {
    return this.time;
  }

  wall(): number {
    return this.time;
  }

  after(ms: number, fn: () => void): Timer {
    assert(ms >= 1 && ms < 2 ** 31, `a timer of ${ms} ms`);
    this.timers.set(fn, this.time + ms);
    return { cancel: () => this.timers.delete(fn) };
  }

  /** Moves time without running timers, as when the process was too busy, or the clock stepped. */
  step(ms: number): void {
    this.time += ms;
  }

  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = [...this.timers].sort((a, b) => a[1] - b[1])[0];
      if (next === undefined || next[1] > end) break;
      this.timers.delete(next[0]);
      this.time = Math.max(this.time, next[1]);
      next[0]();
    }
    this.time = end;
  }
}

/** Chance that is the same in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

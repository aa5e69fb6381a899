import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { systemClock, type Timer } from "./clock.js";

describe("the system clock", () => {
  it("has a monotonic time of its own and the wall's", () => {
    const [before, wall] = [systemClock.now(), systemClock.wall()];
    expect(systemClock.now()).toBeGreaterThanOrEqual(before);
    expect(Math.abs(wall - Date.now())).toBeLessThan(5_000);
  });
});

describe("the recent time", () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it("is never later than now, and never goes back", () => {
    let last = systemClock.recent();
    for (let reading = 0; reading < 10_000; reading += 1) {
      const recent = systemClock.recent();
      expect(recent).toBeGreaterThanOrEqual(last);
      expect(recent).toBeLessThanOrEqual(systemClock.now());
      last = recent;
    }
  });

  it("shares readings only in a burst, and only until the turn ends", async () => {
    const readings = Array.from({ length: 10_000 }, () => systemClock.recent());
    expect(new Set(readings).size).toBeLessThan(5_000);
    await turn();
    const before = systemClock.now();
    expect(systemClock.recent()).toBeGreaterThanOrEqual(before);
  });
});

describe("a timer of the system clock", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("fires once after its time", () => {
    let fired = 0;
    systemClock.after(1_000, () => (fired += 1));
    vi.advanceTimersByTime(999);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(1_000_000);
    expect(fired).toBe(1);
  });

  it("cancelled does not fire, and may be cancelled again and after it has fired", () => {
    let fired = 0;
    const timer = systemClock.after(1_000, () => (fired += 1));
    timer.cancel();
    timer.cancel();
    vi.advanceTimersByTime(2_000);
    expect(fired).toBe(0);
    const second = systemClock.after(1, () => (fired += 1));
    vi.advanceTimersByTime(1);
    second.cancel();
    expect(fired).toBe(1);
  });

  it("waits for longer than a Node timer can, which would fire at once", () => {
    const day = 86_400_000;
    let fired = 0;
    let timer: Timer = systemClock.after(60 * day, () => (fired += 1));
    vi.advanceTimersByTime(60 * day - 1);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
    timer = systemClock.after(60 * day, () => (fired += 1));
    vi.advanceTimersByTime(30 * day);
    timer.cancel();
    vi.advanceTimersByTime(60 * day);
    expect(fired).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a real timer", () => {
  it("keeps the process alive only when somebody waits for it", () => {
    const set = vi.spyOn(globalThis, "setTimeout");
    try {
      const timers = [systemClock.after(1_000, () => undefined), systemClock.after(1_000, () => undefined, true)];
      const handles = set.mock.results.map(({ value }) => value as NodeJS.Timeout);
      expect(handles.map((handle) => handle.hasRef())).toEqual([false, true]);
      for (const timer of timers) timer.cancel();
    } finally {
      set.mockRestore();
    }
  });
});

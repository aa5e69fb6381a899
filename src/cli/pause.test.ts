import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { pause } from "./pause.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a pause", () => {
  it("takes as long as it says, if a timer of Node could not", async () => {
    const month = 30 * 86_400_000;
    let isOver = false;
    const pausing = pause(month).then(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(month - 1);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await pausing;
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends when it is not wanted any more, an endless one too", async () => {
    const stop = new AbortController();
    const pausing = pause(Number.POSITIVE_INFINITY, stop.signal);
    stop.abort();
    await pausing;
    await pause(1_000, stop.signal);
    expect(vi.getTimerCount()).toBe(0);
  });
});

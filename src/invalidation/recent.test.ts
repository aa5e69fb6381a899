import { describe, expect, it } from "vitest";

import { FakeClock } from "../testing/fake-clock.js";
import { RecentInvalidations } from "./recent.js";
import type { Mark } from "./record.js";

const tag = (name: string): Mark => ({ kind: "tag", tag: name });

describe("recent invalidations", () => {
  it("are told each mark once, hard apart from soft, but those of some positions", () => {
    const recent = new RecentInvalidations(new FakeClock());
    recent.add(1, [tag("a")], false);
    recent.add(2, [tag("b"), { kind: "key", key: "k" }], false);
    recent.add(3, [tag("b")], false);
    recent.add(4, [tag("b")], true);
    expect(recent.positions()).toEqual([1, 2, 3, 4]);
    expect(recent.except(new Set([1]))).toEqual({ hard: [tag("b"), { kind: "key", key: "k" }], soft: [tag("b")] });
    expect(recent.except(new Set([1, 2, 3, 4]))).toEqual({ hard: [], soft: [] });
  });

  it("are forgotten after a minute", async () => {
    const clock = new FakeClock();
    const recent = new RecentInvalidations(clock);
    recent.add(1, [tag("a")], false);
    await clock.advance(40_000);
    recent.add(2, [tag("b")], false);
    await clock.advance(30_000);
    expect(recent.positions()).toEqual([2]);
    await clock.advance(60_000);
    expect(recent.positions()).toEqual([]);
  });

  it("are bounded, the oldest going first", () => {
    const recent = new RecentInvalidations(new FakeClock());
    for (let position = 1; position <= 20_000; position += 1) recent.add(position, [tag(`t${position}`)], false);
    const kept = recent.positions();
    expect(kept.length).toBeLessThanOrEqual(5_000);
    expect(kept.length).toBeGreaterThanOrEqual(2_500);
    expect(kept.at(-1)).toBe(20_000);
  });
});

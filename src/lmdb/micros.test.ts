import { describe, expect, it } from "vitest";
import { FakeClock } from "../testing/index.js";
import { microseconds } from "./micros.js";

describe("microseconds", () => {
  it("counts them between the wall clock's milliseconds", async () => {
    const clock = new FakeClock({ wall: 1_000_000 });
    const micros = microseconds(clock);
    expect(micros()).toBe(1_000_000_000);
    await clock.advance(0.25);
    expect(micros()).toBe(1_000_000_250);
    await clock.advance(10_000);
    expect(micros()).toBe(1_010_000_250);
  });

  it.each([3_600_000, -3_600_000])("follows the wall clock when it is set, by %d ms", async (step) => {
    const clock = new FakeClock({ wall: 1_700_000_000_000 });
    const micros = microseconds(clock);
    clock.stepWall(step);
    expect(micros()).toBe((1_700_000_000_000 + step) * 1_000);
    await clock.advance(1);
    expect(micros()).toBe((1_700_000_000_000 + step + 1) * 1_000);
  });
});

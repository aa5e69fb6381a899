import { describe, expect, it } from "vitest";
import { Attention } from "./attention.js";

function calm(attention: Attention, rate: number): void {
  for (let i = 0; i < 100 && !attention.isResting; i += 1) attention.decided(false, 1000, rate);
}

/** Requests until it is over, at a hit ratio of one half. */
function restOf(attention: Attention): number {
  let requests = 0;
  for (let over = false; !over; requests += 10) over = attention.passed(5, 10, 100);
  return requests;
}

describe("Attention", () => {
  it("rests only after many decisions without a change, and then ever longer", () => {
    const attention = new Attention();
    for (let i = 0; i < 47; i += 1) attention.decided(false, 1000, 1);
    expect(attention.isResting).toBe(false);
    attention.decided(true, 1000, 1);
    attention.decided(false, 1000, 1);
    expect(attention.isResting).toBe(false);
    const rests = Array.from({ length: 11 }, () => {
      calm(attention, 1);
      return restOf(attention);
    });
    expect(rests).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 256_000, 256_000]);
  });

  it("rests less where few keys are sampled", () => {
    const attention = new Attention();
    for (let i = 0; i < 5; i += 1) {
      calm(attention, 2 / 512);
      expect(restOf(attention)).toBe(i === 0 ? 1000 : 2000);
    }
  });

  it("wakes when the hit ratio jumps, and starts over", () => {
    const attention = new Attention();
    for (let i = 0; i < 8; i += 1) {
      calm(attention, 1);
      if (i < 7) restOf(attention);
    }
    expect(attention.passed(1000, 2000, 100)).toBe(false);
    expect(attention.passed(1100, 2000, 100)).toBe(false);
    expect(attention.passed(200, 2000, 100)).toBe(true);
    expect(attention.isResting).toBe(false);
    attention.decided(false, 1000, 1);
    expect(attention.isResting).toBe(false);
  });
});

import { describe, expect, it } from "vitest";
import { Weights } from "./weights.js";

describe("Weights", () => {
  it.each([
    ["four gigabytes", 2 ** 32 - 1],
    ["a terabyte", 2 ** 40],
  ])("keeps the weights of slots as it grows, up to %s", (_name, most) => {
    const weights = new Weights(most);
    expect(weights.slots).toBe(0);
    weights.resize(2);
    weights.set(0, most);
    weights.set(1, 7);
    weights.resize(4);
    expect([0, 1, 2, 3].map((slot) => weights.of(slot))).toEqual([most, 7, 0, 0]);
    weights.resize(0);
    expect(weights.slots).toBe(0);
  });
});

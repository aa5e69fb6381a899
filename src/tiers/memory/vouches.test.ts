import { describe, expect, it } from "vitest";
import { Vouches } from "./vouches.js";

function filled(slots: number): Vouches {
  const vouches = new Vouches();
  vouches.resize(slots);
  return vouches;
}

describe("Vouches", () => {
  it("stand for one slot at one version, before a tick", () => {
    const vouches = filled(4);
    vouches.give(2, "answer", 7, 100);

    expect(vouches.stands(2, 7, 99.9)).toBe(true);
    expect(vouches.answerAt(2)).toBe("answer");
    expect(vouches.stands(2, 7, 100)).toBe(false);
    expect(vouches.stands(2, 8, 0)).toBe(false);
    expect([0, 1, 3].filter((slot) => vouches.stands(slot, 7, 0))).toEqual([]);
  });

  it("are none at first, at any version", () => {
    expect(filled(4).stands(0, 0, -1)).toBe(false);
    const vouches = filled(4);
    vouches.give(1, "answer", 0, 1);
    expect(vouches.stands(0, 0, 0)).toBe(false);
    expect(vouches.stands(0, -1, 0)).toBe(false);
  });

  it("are withdrawn one by one, letting go of the answer, or all at once", () => {
    const vouches = filled(2);
    vouches.withdraw(0);
    vouches.give(0, "a", 1, 10);
    vouches.give(1, "b", 1, 10);
    vouches.withdraw(0);
    expect([vouches.stands(0, 1, 0), vouches.stands(1, 1, 0)]).toEqual([false, true]);
    expect(vouches.answerAt(0)).toBeUndefined();
    vouches.clear();
    expect(vouches.stands(1, 1, 0)).toBe(false);
  });

  it("stay when there are more slots, and those that are new have none", () => {
    const vouches = filled(2);
    vouches.give(1, "b", 3, 10);
    vouches.resize(5);
    expect([0, 1, 2, 3, 4].map((slot) => vouches.stands(slot, 3, 0))).toEqual([false, true, false, false, false]);
    expect(vouches.answerAt(1)).toBe("b");
    vouches.give(4, "e", 3, 10);
    expect(vouches.answerAt(4)).toBe("e");
  });

  it("are not given at a version too large to be told from another", () => {
    const vouches = filled(1);
    vouches.give(0, "a", 2 ** 32 + 5, 10);
    expect(vouches.stands(0, 5, 0)).toBe(false);
  });
});

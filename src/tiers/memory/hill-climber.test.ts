import { describe, expect, it } from "vitest";
import { HillClimber } from "./hill-climber.js";

describe("HillClimber", () => {
  it("finds the neighbourhood of the best share of a hill", () => {
    const climber = new HillClimber(0.01, 0.8);
    let share = climber.share;
    // No two periods are quite alike; on an exactly constant hit ratio it stays where it is.
    for (let period = 0; period < 300; period += 1) {
      share = climber.next(0.7 - Math.abs(share - 0.4) + 0.001 * Math.sin(period));
    }
    expect(Math.abs(share - 0.4)).toBeLessThan(0.1);
  });

  it("looks far away while little is hit, and stays there only if that hits twice as much", () => {
    const run = (hitRatio: (share: number) => number): number[] => {
      const climber = new HillClimber(0.01, 0.8);
      return Array.from({ length: 30 }, () => climber.next(hitRatio(climber.share)));
    };
    const cliff = run((share) => (share > 0.3 ? 0.5 : 0.001));
    expect(cliff.indexOf(0.5)).toBeLessThan(6);
    expect(cliff.slice(6).filter((share) => share > 0.3).length).toBeGreaterThan(15);
    const flat = run(() => 0.001);
    expect(flat.filter((share) => share === 0.5)).toHaveLength(5);
    expect(flat.filter((share) => share < 0.02).length).toBeGreaterThan(20);
    const good = run(() => 0.2);
    expect(good).not.toContain(0.5);
  });

  it("never leaves its bounds", () => {
    const climber = new HillClimber(0.01, 0.8);
    for (let period = 0; period < 500; period += 1) {
      const share = climber.next(period % 7 === 0 ? 0 : 1);
      expect(share).toBeGreaterThanOrEqual(0.01);
      expect(share).toBeLessThanOrEqual(0.8);
    }
  });

  it("takes full steps again when the hit ratio jumps", () => {
    const climber = new HillClimber(0.01, 0.8);
    for (let period = 0; period < 300; period += 1) climber.next(0.5 + (period % 2) * 0.001);
    const settled = climber.share;
    expect(Math.abs(climber.next(0.501) - settled)).toBeLessThan(0.01);
    climber.next(0.1);
    const before = climber.share;
    expect(Math.abs(climber.next(0.1) - before)).toBeCloseTo(0.0625, 3);
  });
});

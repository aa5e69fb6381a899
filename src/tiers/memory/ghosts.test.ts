import { describe, expect, it } from "vitest";
import { Ghosts } from "./ghosts.js";
import { hashKey } from "./hash-key.js";

function hashes(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => hashKey(`key:${i}`, seed));
}

describe("Ghosts", () => {
  it("knows nothing until it has room", () => {
    const ghosts = new Ghosts();
    ghosts.add(5);
    expect(ghosts.has(5)).toBe(false);
  });

  it("remembers most of the last so many, and next to none of those long before", () => {
    const ghosts = new Ghosts();
    ghosts.ensureCapacity(4000);
    const keys = hashes(40_000, 1);
    for (const key of keys) ghosts.add(key);
    const share = (some: number[]): number => some.filter((key) => ghosts.has(key)).length / some.length;
    expect(share(keys.slice(-2000))).toBeGreaterThan(0.98);
    expect(share(keys.slice(-4000))).toBeGreaterThan(0.8);
    expect(share(keys.slice(0, 30_000))).toBeLessThan(0.01);
  });

  it("takes hardly any stranger for one it knows", () => {
    const ghosts = new Ghosts();
    ghosts.ensureCapacity(4000);
    for (const key of hashes(20_000, 1)) ghosts.add(key);
    expect(hashes(100_000, 2).filter((key) => ghosts.has(key)).length).toBeLessThan(60);
  });

  it("has a key once, however often it is added", () => {
    const ghosts = new Ghosts();
    ghosts.ensureCapacity(8);
    const [other, again] = hashes(2, 3) as [number, number];
    ghosts.add(other);
    for (let i = 0; i < 20; i += 1) ghosts.add(again);
    expect(ghosts.has(other)).toBe(true);
  });

  it("spreads the keys of a sample, whose hashes begin alike, over all its room", () => {
    const ghosts = new Ghosts();
    ghosts.ensureCapacity(400);
    const sampled = hashes(51_200, 4)
      .filter((key) => key < 2 ** 23)
      .slice(0, 200);
    for (const key of sampled) ghosts.add(key);
    expect(sampled.filter((key) => ghosts.has(key)).length).toBeGreaterThan(190);
  });
});

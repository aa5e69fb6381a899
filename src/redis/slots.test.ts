import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shardOfPath, shardTags, SLOTS, slotOf } from "./slots.js";

/** The shard numbers of a cluster of equal masters, by master. */
function placed(shards: number, masters: number): number[] {
  const counts = Array.from({ length: masters }, () => 0);
  for (const tag of shardTags(shards)) {
    const master = Math.floor((slotOf(`{${tag}}`) * masters) / SLOTS);
    counts[master] = (counts[master] ?? 0) + 1;
  }
  return counts;
}

describe("slotOf", () => {
  it("is the cluster's own function", () => {
    // The check value of CRC-16/XMODEM, and what CLUSTER KEYSLOT answers.
    expect(slotOf("123456789")).toBe(0x31c3 % SLOTS);
    expect(slotOf("foo")).toBe(12_182);
    expect(slotOf("{user1000}.following")).toBe(slotOf("user1000"));
    expect(slotOf("foo{{bar}}zap")).toBe(slotOf("{bar"));
    expect(slotOf("foo{bar}{zap}")).toBe(slotOf("bar"));
    expect(slotOf("foo{}{bar}")).not.toBe(slotOf("bar"));
    expect(slotOf("foo{}{bar}")).not.toBe(slotOf("fox{}{bar}"));
    expect(slotOf("a}b{c")).not.toBe(slotOf("c"));
    expect(slotOf("é")).toBe(slotOf("{é}"));
  });
});

describe("shardTags", () => {
  it("are the same for ever: keys that are stored hold them", () => {
    expect(shardTags(16)).toEqual([
      ...["0/16.ddr", "1/16.au7", "2/16.hb7", "3/16.042", "4/16.ind", "5/16.18a", "6/16.0bq", "7/16.5s4"],
      ...["8/16.fkv", "9/16.64k", "10/16.0yr", "11/16.5h7", "12/16.ide", "13/16.1vh", "14/16.hy4", "15/16.0k9"],
    ]);
    expect(shardTags(1)).toHaveLength(1);
    expect(shardTags(3)).toEqual(["0/3.har", "1/3.14m", "2/3.5nn"]);
  });

  it("lie near the middle of equal rows of slots, each in its own", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_024 }), (shards) => {
        const tags = shardTags(shards);
        expect(tags).toHaveLength(shards);
        for (const [shard, tag] of tags.entries()) {
          const middle = Math.floor(((shard + 0.5) * SLOTS) / shards);
          expect(Math.abs(slotOf(`any{${tag}}:thing`) - middle)).toBeLessThan(Math.min(5, SLOTS / shards / 2));
          expect(tag.startsWith(`${shard}/${shards}.`)).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
  });

  it("give masters of equal rows the same number of shards, or one more", () => {
    expect(placed(16, 3)).toEqual([5, 6, 5]);
    expect(placed(15, 3)).toEqual([5, 5, 5]);
    expect(placed(12, 6)).toEqual([2, 2, 2, 2, 2, 2]);
    for (let masters = 1; masters <= 16; masters++) {
      const counts = placed(16, masters);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
  });
});

describe("shardOfPath", () => {
  it("is the same for ever: keys that are stored lie there", () => {
    const shards = ["user:42", "global:user:1:v1", "", "é", "/ns:a:b", "'42", "page=1"].map((path) =>
      shardOfPath(path, 16),
    );
    expect(shards).toEqual([2, 14, 11, 9, 13, 5, 1]);
    expect(shardOfPath("user:42", 1)).toBe(0);
  });

  it.each([2, 3, 16, 100])("spreads keys that differ little over %i shards", (shards) => {
    for (const pathOf of [
      (i: number) => `global:user:${i}:v1`,
      (i: number) => `tenant-${i % 100}:order:${i}:v3`,
      (i: number) => `${i}:${i}`,
      (i: number) => `k${i.toString(36)}`,
    ]) {
      const counts = Array.from({ length: shards }, () => 0);
      for (let i = 0; i < 100_000; i++) {
        const shard = shardOfPath(pathOf(i), shards);
        counts[shard] = (counts[shard] ?? 0) + 1;
      }
      const even = 100_000 / shards;
      const error = counts.reduce((sum, count) => sum + (count - even) ** 2 / even, 0);
      // Chi-squared: chance alone goes past 2 for each degree of freedom (and 10 more) about never.
      expect(error).toBeLessThan(2 * shards + 10);
    }
  });
});

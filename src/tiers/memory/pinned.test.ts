import { describe, expect, it } from "vitest";
import { ManualClock, seededRandom } from "../../../test/support/manual-clock.js";
import { createMemoryTier, type MemoryTierOptions } from "./create-memory-tier.js";
import { createLru } from "./lru.js";
import type { MemoryTier, RemovalCause } from "./memory-tier.js";
import type { PolicyFactory } from "./policy.js";
import { createWTinyLfu } from "./w-tiny-lfu.js";

const NEVER = Number.POSITIVE_INFINITY;
const POLICIES: readonly [name: string, policy: PolicyFactory][] = [
  ["LRU", createLru],
  ["W-TinyLFU", createWTinyLfu],
];

function setup(options: Partial<MemoryTierOptions<number>> = {}): {
  tier: MemoryTier<number>;
  clock: ManualClock;
  gone: [key: string, cause: RemovalCause][];
} {
  const clock = new ManualClock();
  const gone: [string, RemovalCause][] = [];
  const tier = createMemoryTier<number>({
    maxEntries: 80,
    maxBytes: 8_000,
    maxEntryBytes: 1_000,
    clock,
    random: seededRandom(1),
    onRemove: (key, _value, cause) => gone.push([key, cause]),
    ...options,
  });
  return { tier, clock, gone };
}

/** Newcomers, read often and again later, so that an entry which is not read goes. */
function flood(tier: MemoryTier<number>, from: number, count: number, weight = 10): void {
  for (let id = from; id < from + count; id += 1) {
    tier.set(`other${id}`, id, weight, NEVER);
    for (let use = 0; use < 4; use += 1) tier.get(`other${id}`);
    for (const before of [20, 35, 50]) tier.get(`other${id - before}`);
  }
}

describe.each(POLICIES)("pinned entries under %s", (_name, policy) => {
  it("stay while others come and go", () => {
    const { tier, gone } = setup({ policy });
    tier.pin(["a", "b"]);
    for (const key of ["a", "b", "c"]) tier.set(key, 1, 10, NEVER);
    flood(tier, 0, 2_000);
    expect([tier.peek("a"), tier.peek("b"), tier.peek("c")]).toEqual([1, 1, undefined]);
    expect([tier.isPinned("a"), tier.isPinned("b"), tier.isPinned("c")]).toEqual([true, true, false]);
    expect(gone.some(([key]) => key === "a" || key === "b")).toBe(false);
  });

  it("go when they are not pinned any more", () => {
    const { tier } = setup({ policy });
    tier.pin(["a", "b"]);
    tier.set("a", 1, 10, NEVER);
    tier.set("b", 1, 10, NEVER);
    flood(tier, 0, 500);
    tier.pin(["b"]);
    flood(tier, 500, 2_000);
    expect([tier.peek("a"), tier.peek("b")]).toEqual([undefined, 1]);
  });

  it("leave when their time is over, and when they are deleted", () => {
    const { tier, clock, gone } = setup({ policy });
    tier.pin(["a", "b"]);
    tier.set("a", 1, 10, clock.now() + 50);
    tier.set("b", 1, 10, NEVER);
    clock.advance(100);
    flood(tier, 0, 200);
    tier.delete("b");
    expect(gone.filter(([key]) => key === "a" || key === "b")).toEqual([
      ["a", "expired"],
      ["b", "deleted"],
    ]);
    expect(tier.isPinned("a")).toBe(false);
  });

  it("are pinned before they are stored", () => {
    const { tier } = setup({ policy });
    flood(tier, 0, 500);
    tier.pin(["a"]);
    expect(tier.isPinned("a")).toBe(false);
    expect(tier.set("a", 1, 10, NEVER)).toBe(true);
    flood(tier, 500, 500);
    expect(tier.peek("a")).toBe(1);
  });

  it("are an eighth of the entries at the most, the first ones", () => {
    const { tier } = setup({ policy });
    const keys = Array.from({ length: 80 }, (_, id) => `k${id}`);
    tier.pin(keys);
    for (const key of keys) tier.set(key, 1, 10, NEVER);
    flood(tier, 0, 3_000);
    expect(keys.filter((key) => tier.peek(key) === 1)).toEqual(keys.slice(0, 10));
    expect(tier.size).toBeLessThanOrEqual(80);
  });

  it("are an eighth of the bytes at the most, the first ones", () => {
    const { tier } = setup({ policy });
    const keys = ["a", "b", "c"];
    tier.pin(keys);
    for (const key of keys) tier.set(key, 1, 450, NEVER);
    flood(tier, 0, 3_000, 100);
    expect(keys.filter((key) => tier.peek(key) === 1)).toEqual(["a", "b"]);
    expect(keys.map((key) => tier.isPinned(key))).toEqual([true, true, false]);
  });

  it("make room all the same when there is no other", () => {
    const { tier } = setup({ policy, maxEntries: 8, maxBytes: 100, maxEntryBytes: 100 });
    tier.pin(["a"]);
    expect(tier.set("a", 1, 10, NEVER)).toBe(true);
    tier.set("large", 2, 100, NEVER);
    expect(tier.bytes).toBeLessThanOrEqual(100);
  });
});

it("keeps a pinned newcomer that the policy would refuse", () => {
  const full = (pin: boolean): boolean => {
    const { tier } = setup({ maxEntries: 1_000, maxBytes: 10_000 });
    for (let id = 0; id < 1_000; id += 1) tier.set(`k${id}`, id, 10, NEVER);
    for (let round = 0; round < 10; round += 1) for (let id = 0; id < 1_000; id += 1) tier.get(`k${id}`);
    if (pin) tier.pin(["new"]);
    // As heavy as a hundred that are in use.
    return tier.set("new", 1, 1_000, NEVER);
  };
  expect([full(false), full(true)]).toEqual([false, true]);
});

describe("samples", () => {
  it("are taken of the uses that the answer before said, whatever the ring's length", () => {
    const sampled: string[] = [];
    const { tier } = setup({
      onSample: (key) => {
        sampled.push(key);
        return 100;
      },
    });
    for (let id = 0; id < 20; id += 1) tier.set(`k${id}`, id, 10, NEVER);
    // Uses 0, 100, 200 … of 1,000; the last come to notice with the next change.
    for (let use = 0; use < 1_000; use += 1) tier.get(`k${Math.floor(use / 50)}`);
    tier.delete("k0");
    expect(sampled).toEqual(["k0", "k2", "k4", "k6", "k8", "k10", "k12", "k14", "k16", "k18"]);
  });

  it("are every use when the answer is 1", () => {
    let sampled = 0;
    const { tier } = setup({
      onSample: () => {
        sampled += 1;
        return 1;
      },
    });
    tier.set("a", 1, 10, NEVER);
    for (let use = 0; use < 200; use += 1) tier.get("a");
    tier.get("absent");
    tier.peek("a");
    tier.delete("a");
    expect(sampled).toBe(200);
  });
});

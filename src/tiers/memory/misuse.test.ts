import { describe, expect, it } from "vitest";

import { ManualClock, seededRandom } from "../../../test/support/manual-clock.js";
import { createMemoryTier, type MemoryTierOptions } from "./create-memory-tier.js";
import { createLru } from "./lru.js";
import type { MemoryTier, RemovalCause } from "./memory-tier.js";
import { createWTinyLfu } from "./w-tiny-lfu.js";

const NEVER = Number.POSITIVE_INFINITY;

function setup(options: Partial<MemoryTierOptions<unknown>> = {}): {
  tier: MemoryTier<unknown>;
  clock: ManualClock;
  gone: [key: string, cause: RemovalCause][];
} {
  const clock = new ManualClock();
  const gone: [string, RemovalCause][] = [];
  const tier = createMemoryTier<unknown>({
    maxEntries: 8,
    maxBytes: 1_000,
    maxEntryBytes: 500,
    clock,
    random: seededRandom(1),
    onRemove: (key, _value, cause) => gone.push([key, cause]),
    ...options,
  });
  return { tier, clock, gone };
}

describe.each([
  ["LRU", createLru],
  ["W-TinyLFU", createWTinyLfu],
] as const)("sizes that are none, under %s", (_name, policy) => {
  it.each([-1, -0.5, Number.NaN, NEVER, -NEVER, 501, 2 ** 53])(
    "%d is refused, counted, and leaves all in order",
    (weight) => {
      const { tier, gone } = setup({ policy });
      tier.set("kept", 1, 10, NEVER);
      for (let round = 0; round < 20; round += 1) expect(tier.set("bad", 1, weight, NEVER)).toBe(false);
      tier.set("was", 1, 10, NEVER);
      expect(tier.set("was", 2, weight, NEVER)).toBe(false);
      expect([tier.peek("bad"), tier.peek("was"), tier.peek("kept")]).toEqual([undefined, undefined, 1]);
      expect(tier.stats()).toMatchObject({ entries: 1, bytes: 10, refused: 21 });
      expect(gone.filter(([, cause]) => cause === "refused")).toHaveLength(21);
    },
  );

  it("0 and -0 take no bytes, and are bounded by number all the same", () => {
    const { tier } = setup({ policy });
    for (let id = 0; id < 100; id += 1) expect(tier.set(`k${id}`, id, id % 2 === 0 ? 0 : -0, NEVER)).toBe(true);
    expect([tier.size, tier.bytes]).toEqual([8, 0]);
  });

  it("fractions are rounded up, each", () => {
    const { tier } = setup({ policy });
    for (let id = 0; id < 8; id += 1) tier.set(`k${id}`, id, 0.001, NEVER);
    expect(tier.bytes).toBe(8);
    expect(tier.set("large", 1, 500.001, NEVER)).toBe(false);
  });
});

describe("a clock that steps back", () => {
  it("neither ends an entry early nor keeps it from leaving by itself", () => {
    const { tier, clock, gone } = setup();
    clock.step(100_000);
    tier.set("a", 1, 1, clock.now() + 1_000);
    clock.step(-50_000);
    tier.set("b", 2, 1, clock.now() + 1_000);
    expect([tier.get("a"), tier.find("a"), tier.peek("b")]).toEqual([1, 1, 2]);
    clock.advance(1_200);
    expect([tier.peek("a"), tier.size]).toEqual([1, 1]);
    clock.advance(51_000);
    expect([tier.size, clock.timers.size]).toEqual([0, 0]);
    expect(gone).toEqual([
      ["b", "expired"],
      ["a", "expired"],
    ]);
  });
});

describe("find", () => {
  it("counts as a use, and gives also what is over until it leaves", () => {
    const { tier, clock } = setup({ maxEntries: 2, policy: createLru });
    tier.set("a", 1, 1, 1_000);
    tier.set("b", 2, 1, NEVER);
    tier.find("a");
    tier.set("c", 3, 1, NEVER);
    expect([tier.peek("a"), tier.peek("b")]).toEqual([1, undefined]);
    clock.step(1_000);
    expect([tier.find("a"), tier.get("a"), tier.find("a")]).toEqual([1, undefined, undefined]);
  });

  it("finds a key of a family by its middle, and no other key", () => {
    const { tier } = setup();
    const family = tier.family("acme:contact:", ":v1");
    const find = (middle: string): unknown => {
      for (let i = 0; i < middle.length; i += 1) family.units[family.from + i] = middle.charCodeAt(i);
      return tier.findIn(family, family.from + middle.length);
    };
    tier.set("acme:contact:42:v1", "yes", 1, NEVER);
    tier.set("acme:contact:421:v1", "longer", 1, NEVER);
    tier.set("acme:contact:\u{1f600}:v1", "beyond latin1", 1, NEVER);
    tier.set("acme:contact:7:v2", "another version", 1, NEVER);
    expect(["42", "421", "\u{1f600}", "4", "7", ""].map(find)).toEqual([
      "yes",
      "longer",
      "beyond latin1",
      undefined,
      undefined,
      undefined,
    ]);
    expect(find("42")).toBe("yes");
    tier.delete("acme:contact:42:v1");
    expect(find("42")).toBeUndefined();
  });
});

describe("a listener that calls the tier back", () => {
  const calls: readonly [name: string, call: (tier: MemoryTier<unknown>, key: string) => void][] = [
    ["sets the key again", (tier, key) => void tier.set(key, "again", 1, NEVER)],
    ["sets another", (tier, key) => void tier.set(`${key}'`, "other", 1, NEVER)],
    ["deletes all others", (tier) => [...tier.entries()].forEach(([key]) => tier.delete(key))],
    ["moves deadlines", (tier) => [...tier.entries()].forEach(([key]) => tier.touch(key, 1))],
    ["pins and reads", (tier, key) => (tier.pin([key]), void tier.get(key))],
    ["clears", (tier) => tier.clear()],
    ["closes", (tier) => tier.close()],
  ];
  const ways: readonly [name: string, leave: (tier: MemoryTier<unknown>, clock: ManualClock) => void][] = [
    ["replaced", (tier) => void tier.set("k0", "new", 1, NEVER)],
    ["deleted", (tier) => void tier.delete("k0")],
    ["refused", (tier) => void tier.set("k0", "new", 501, NEVER)],
    ["evicted", (tier) => [1, 2, 3].forEach((id) => tier.set(`new${id}`, id, 1, NEVER))],
    ["expired", (_tier, clock) => clock.advance(2_000)],
    ["found over", (tier, clock) => (clock.step(2_000), void tier.get("k1"))],
    ["cleared", (tier) => tier.clear()],
  ];
  const cases = calls.flatMap(([called, call]) => ways.map(([left, leave]) => ({ called, call, left, leave })));

  it.each(cases)("and $called when one is $left, finds it in order and leaves it so", ({ call, leave }) => {
    let left = 20;
    const { tier, clock } = setup({
      onRemove: (key) => {
        expect(tier.size).toBeLessThanOrEqual(8);
        expect(tier.size).toBe(tier.stats().entries);
        left -= 1;
        if (left > 0) call(tier, key);
      },
    });
    for (let id = 0; id < 8; id += 1) tier.set(`k${id}`, id, 1, id % 2 === 0 ? NEVER : 1_000);
    leave(tier, clock);
    expect(left).toBeLessThan(20);
    expect(tier.size).toBeLessThanOrEqual(8);
    left = 0;
    // What is over leaves.
    clock.advance(2_000);
    const entries = [...tier.entries()];
    expect(entries).toHaveLength(tier.size);
    for (const [key, value] of entries) expect(tier.get(key)).toBe(value);
    expect(tier.bytes).toBe(tier.size);
    tier.clear();
    expect([tier.size, tier.bytes, clock.timers.size]).toEqual([0, 0, 0]);
  });
});

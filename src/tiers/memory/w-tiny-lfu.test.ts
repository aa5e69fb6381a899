import { describe, expect, it } from "vitest";
import { systemClock } from "../../clock.js";
import { createMemoryTier, type MemoryTierOptions } from "./create-memory-tier.js";
import { createLru } from "./lru.js";
import type { MemoryTier, RemovalCause } from "./memory-tier.js";
import type { CurvePoint, EvictionPolicy, PolicyContext } from "./policy.js";
import { REGIMES } from "./regimes.js";
import { createWTinyLfu } from "./w-tiny-lfu.js";

const NEVER = Number.POSITIVE_INFINITY;

function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function tierOf(options: Partial<MemoryTierOptions<number>>): MemoryTier<number> {
  const bounds = { maxEntries: 1000, maxBytes: 2 ** 30, maxEntryBytes: 2 ** 30 };
  return createMemoryTier<number>({ ...bounds, clock: systemClock, random: random(1), ...options });
}

function read(tier: MemoryTier<number>, key: string, weight = 1): boolean {
  if (tier.get(key) !== undefined) return true;
  tier.set(key, 1, weight, NEVER);
  return false;
}

function hitRatio(tier: MemoryTier<number>, keys: readonly string[]): number {
  return keys.filter((key) => read(tier, key)).length / keys.length;
}

/** Zipf-like popularity over `ids`, one in `scanned` reads replaced by a key never seen again. */
function zipf(reads: number, ids: number, scanned: number): string[] {
  const chance = random(7);
  return Array.from({ length: reads }, (_, i) =>
    i % scanned === 0 ? `scan${i}` : `k${Math.floor(ids ** chance()) - 1}`,
  );
}

describe("createWTinyLfu", () => {
  it("keeps the popular through a scan that empties an LRU", () => {
    const keys = zipf(120_000, 20_000, 2);
    const ours = hitRatio(tierOf({ maxEntries: 500 }), keys);
    const lru = hitRatio(tierOf({ maxEntries: 500, policy: createLru }), keys);
    expect(ours).toBeGreaterThan(lru + 0.03);
  });

  it("hits on a loop longer than the cache, where an LRU never does", () => {
    const keys = Array.from({ length: 60_000 }, (_, i) => `k${i % 1000}`);
    expect(hitRatio(tierOf({ maxEntries: 400, policy: createLru }), keys)).toBe(0);
    expect(hitRatio(tierOf({ maxEntries: 400 }), keys)).toBeGreaterThan(0.25);
  });

  it("widens the window for keys that come back soon and then never again", () => {
    // Every key is read twice, 100 reads apart: a small window never sees the second.
    const keys = Array.from({ length: 200_000 }, (_, i) => `k${i % 2 === 0 ? i : Math.max(0, i - 101)}`);
    const tier = tierOf({ maxEntries: 400 });
    hitRatio(tier, keys.slice(0, 100_000));
    expect(hitRatio(tier, keys.slice(100_000))).toBeGreaterThan(0.4);
    expect(tier.stats().windowShare).toBeGreaterThan(0.1);
  });

  it("starts with a window of a tenth, and only ever has one that it chose from", () => {
    const tier = tierOf({ maxEntries: 100 });
    expect(tier.stats().windowShare).toBe(0.1);
    const chance = random(3);
    for (let i = 0; i < 100_000; i += 1) {
      read(tier, `k${Math.floor(1000 * chance() * (i % 9000 > 4500 ? chance() : 1))}`);
      const { windowShare } = tier.stats();
      if (!REGIMES.some(({ window }) => window === windowShare)) expect.fail(`window of ${windowShare}`);
    }
  });

  it("finds the way back when the requests change: loop, then keys asked for twice, then loop", () => {
    const loop = Array.from({ length: 80_000 }, (_, i) => `k${i % 1000}`);
    const twice = Array.from({ length: 80_000 }, (_, i) => `t${i % 2 === 0 ? i : Math.max(0, i - 301)}`);
    const tier = tierOf({ maxEntries: 400 });
    for (const [keys, least] of [
      [loop, 0.33],
      [twice, 0.45],
      [loop, 0.33],
    ] as const) {
      hitRatio(tier, keys.slice(0, 40_000));
      expect(hitRatio(tier, keys.slice(40_000))).toBeGreaterThan(least);
    }
  });

  it("does not let one large value flush what is in use", () => {
    const tier = tierOf({ maxBytes: 100_000, maxEntryBytes: 50_000, maxEntries: 10_000 });
    const popular = Array.from({ length: 900 }, (_, i) => `k${i}`);
    for (let round = 0; round < 5; round += 1) for (const key of popular) read(tier, key, 100);
    for (let i = 0; i < 200; i += 1) expect(tier.set(`large${i}`, 1, 50_000, NEVER)).toBe(false);
    const kept = popular.filter((key) => tier.peek(key) !== undefined).length;
    expect(kept).toBe(900);
  });

  it("lets a large value in that is asked for again, past small ones that are not", () => {
    const tier = tierOf({ maxBytes: 100_000, maxEntryBytes: 50_000, maxEntries: 10_000 });
    for (let i = 0; i < 1000; i += 1) read(tier, `once${i}`, 100);
    for (let i = 0; i < 12; i += 1) read(tier, "large", 20_000);
    expect(tier.peek("large")).toBe(1);
    expect(tier.bytes).toBeLessThanOrEqual(100_000);
    expect(tier.bytes).toBeGreaterThan(95_000);
  });

  it("does not evict the large winner while room is made for it", () => {
    const evicted: [string, RemovalCause][] = [];
    const tier = tierOf({
      maxBytes: 10_000,
      maxEntryBytes: 5000,
      onRemove: (key, _value, cause) => evicted.push([key, cause]),
    });
    for (let i = 0; i < 100; i += 1) read(tier, `k${i}`, 100);
    for (let i = 0; i < 4; i += 1) read(tier, "large", 5000);
    expect(tier.peek("large")).toBe(1);
    expect(evicted.filter(([key, cause]) => key === "large" && cause === "evicted")).toEqual([]);
  });

  it("reports a newcomer that lost its contest at once as refused", () => {
    const causes: RemovalCause[] = [];
    const tier = tierOf({
      maxBytes: 10_000,
      maxEntryBytes: 5000,
      onRemove: (_key, _value, cause) => causes.push(cause),
    });
    for (let round = 0; round < 4; round += 1) for (let i = 0; i < 100; i += 1) read(tier, `k${i}`, 100);
    causes.length = 0;
    expect(tier.set("large", 1, 5000, NEVER)).toBe(false);
    expect(causes).toEqual(["refused"]);
    expect(tier.stats()).toMatchObject({ refused: 1, evicted: 0 });
  });

  it("keeps its books right when values are replaced, by heavier and lighter ones", () => {
    const tier = tierOf({ maxBytes: 10_000, maxEntryBytes: 1000 });
    const residents = Array.from({ length: 100 }, (_, i) => `k${i}`);
    for (let round = 0; round < 2; round += 1) for (const key of residents) read(tier, key, 100);
    for (let i = 0; i < 50; i += 1) {
      tier.set("k99", 1, 50, NEVER);
      tier.set("k99", 1, 100, NEVER);
    }
    // Three times seen, it beats one victim seen twice; it would not beat two.
    for (let n = 0; n < 4; n += 1) {
      read(tier, "new", 100);
      read(tier, `filler${n}`, 100);
    }
    expect(tier.peek("new")).toBe(1);
  });

  it("looks at few victims for a heavy candidate, and extrapolates", () => {
    const tier = tierOf({ maxBytes: 1_000_000, maxEntryBytes: 500_000, maxEntries: 100_000 });
    for (let round = 0; round < 3; round += 1) for (let i = 0; i < 9900; i += 1) read(tier, `k${i}`, 100);
    for (let i = 0; i < 10; i += 1) read(tier, "large", 500_000);
    expect(tier.peek("large")).toBeUndefined();
    expect(tier.size).toBeGreaterThan(9000);
  });

  it("tells what other capacities would hit, over bytes where bytes bind", () => {
    const keys = zipf(150_000, 20_000, 1000);
    const run = (share: number): Outcome => {
      const policies: EvictionPolicy[] = [];
      const policy = (context: PolicyContext): EvictionPolicy => {
        const made = createWTinyLfu(context);
        policies.push(made);
        return made;
      };
      const tier = tierOf({ maxEntries: 100_000, maxBytes: 60_000 * share, maxEntryBytes: 1000, policy });
      const hits = keys.filter((key) => read(tier, key, 50 + (key.length % 3) * 20)).length;
      return { ratio: hits / keys.length, curve: policies[0]?.stats.curve?.() ?? [] };
    };
    const { curve } = run(1);
    expect(curve.map(({ capacity }) => capacity)).toEqual([0.25, 0.5, 1, 2, 4]);
    for (const { capacity, hitRatio } of curve) expect(Math.abs(hitRatio - run(capacity).ratio)).toBeLessThan(0.03);
  });

  it("tells nothing of other capacities where that is not wanted, and evicts as it would otherwise", () => {
    const keys = zipf(60_000, 20_000, 4);
    const run = (curve: boolean): [gone: string[], points: number] => {
      const gone: string[] = [];
      const tier = tierOf({ maxEntries: 500, curve, onRemove: (key) => gone.push(key) });
      hitRatio(tier, keys);
      return [gone, tier.stats().curve.length];
    };
    const [gone, points] = run(true);
    expect(points).toBe(5);
    expect(run(false)).toEqual([gone, 0]);
  });

  it("counts in the curve what was only just asked for", () => {
    const tier = tierOf({ maxEntries: 500 });
    for (let i = 0; i < 50; i += 1) read(tier, `k${i}`);
    expect(tier.stats().curve.map(({ hitRatio: ratio }) => ratio)).toEqual([0, 0, 0, 0, 0]);
  });

  it("tells what less would hit where everything is hit, and only some uses are looked at", () => {
    const tier = tierOf({ maxEntries: 1000 });
    const chance = random(5);
    for (let i = 0; i < 300_000; i += 1) read(tier, `k${Math.floor(900 * chance())}`);
    const [quarter, half, today] = tier.stats().curve.map(({ hitRatio: ratio }) => ratio) as [number, number, number];
    expect(Math.abs(quarter - 250 / 900)).toBeLessThan(0.1);
    expect(Math.abs(half - 500 / 900)).toBeLessThan(0.1);
    expect(today).toBeGreaterThan(0.99);
  });

  it("picks the same victims whether it was asked to prepare or not", () => {
    const keys = zipf(60_000, 20_000, 4);
    const run = (prepares: boolean): string[] => {
      const gone: string[] = [];
      const policy = (context: PolicyContext): EvictionPolicy => {
        const made = createWTinyLfu(context);
        if (!prepares) made.prepare = () => -1;
        return made;
      };
      const tier = tierOf({ maxEntries: 500, policy, onRemove: (key) => gone.push(key) });
      hitRatio(tier, keys);
      return gone;
    };
    expect(run(true)).toEqual(run(false));
  });

  it("names a likely victim, which most of the time is the one, or none", () => {
    let asked = 0;
    let right = 0;
    let likely = -1;
    const policy = (context: PolicyContext): EvictionPolicy => {
      const made = createWTinyLfu(context);
      const prepare = made.prepare?.bind(made);
      const nextVictim = made.nextVictim.bind(made);
      made.prepare = (hash) => (likely = prepare?.(hash) ?? -1);
      made.nextVictim = () => {
        const victim = nextVictim();
        asked += 1;
        if (victim === likely) right += 1;
        return victim;
      };
      return made;
    };
    hitRatio(tierOf({ maxEntries: 500, policy }), zipf(60_000, 20_000, 4));
    expect(asked).toBeGreaterThan(10_000);
    expect(right / asked).toBeGreaterThan(0.5);
  });
});

interface Outcome {
  readonly ratio: number;
  readonly curve: readonly CurvePoint[];
}

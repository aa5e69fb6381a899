import { describe, expect, it } from "vitest";
import { ManualClock, seededRandom } from "../../../test/support/manual-clock.js";
import { CacheError } from "../../errors.js";
import { createMemoryTier, type MemoryTierOptions } from "./create-memory-tier.js";
import { createLru } from "./lru.js";
import type { MemoryTier, RemovalCause } from "./memory-tier.js";
import type { EvictionPolicy, PolicyContext, PolicyFactory } from "./policy.js";
import { createWTinyLfu } from "./w-tiny-lfu.js";

const NEVER = Number.POSITIVE_INFINITY;

type Gone = [key: string, value: unknown, cause: RemovalCause];

function setup(options: Partial<MemoryTierOptions<unknown>> = {}): {
  tier: MemoryTier<unknown>;
  clock: ManualClock;
  gone: Gone[];
} {
  const clock = new ManualClock();
  const gone: Gone[] = [];
  const tier = createMemoryTier<unknown>({
    maxEntries: 100,
    maxBytes: 10_000,
    maxEntryBytes: 1000,
    clock,
    random: seededRandom(1),
    onRemove: (key, value, cause) => gone.push([key, value, cause]),
    ...options,
  });
  return { tier, clock, gone };
}

const POLICIES: readonly [name: string, policy: PolicyFactory][] = [
  ["LRU", createLru],
  ["W-TinyLFU", createWTinyLfu],
];

describe("createMemoryTier", () => {
  it("gives back what was set, whatever the value is", () => {
    const { tier } = setup();
    for (const value of [undefined, null, 0, "", Number.NaN, { a: 1 }]) {
      expect(tier.set("", value, 1, NEVER)).toBe(true);
      expect(tier.get("")).toBe(value);
      expect([...tier.entries()]).toEqual([["", value]]);
    }
    expect(tier.get("other")).toBeUndefined();
  });

  it("tells every way an entry leaves, once, with its value", () => {
    const { tier, clock, gone } = setup({ maxEntries: 2, policy: createLru });
    tier.set("a", 1, 10, NEVER);
    tier.set("a", 2, 10, NEVER);
    tier.set("b", 3, 10, 1000);
    tier.set("c", 4, 10, NEVER);
    clock.advance(2000);
    tier.set("d", 5, 1001, NEVER);
    tier.delete("c");
    tier.set("e", 6, 10, NEVER);
    tier.clear();
    expect(gone).toEqual([
      ["a", 1, "replaced"],
      ["a", 2, "evicted"],
      ["b", 3, "expired"],
      ["d", 5, "refused"],
      ["c", 4, "deleted"],
      ["e", 6, "deleted"],
    ]);
    expect(tier.stats()).toMatchObject({ entries: 0, bytes: 0, evicted: 1, expired: 1, refused: 1 });
  });

  it("stores nothing under a key whose new value is refused, the older one neither", () => {
    const { tier, gone } = setup();
    tier.set("a", "old", 10, NEVER);
    expect(tier.set("a", "new", 1001, NEVER)).toBe(false);
    expect(tier.get("a")).toBeUndefined();
    expect(gone).toEqual([
      ["a", "old", "replaced"],
      ["a", "new", "refused"],
    ]);
  });

  it.each([Number.NaN, -1, NEVER])("refuses a weight of %d", (weight) => {
    const { tier } = setup();
    expect(tier.set("a", 1, weight, NEVER)).toBe(false);
    expect(tier.bytes).toBe(0);
  });

  it("rounds fractions of a byte up", () => {
    const { tier } = setup();
    tier.set("a", 1, 0.1, NEVER);
    expect(tier.bytes).toBe(1);
  });

  it("counts weights beyond 4 gb right", () => {
    const { tier } = setup({ maxBytes: 2 ** 40, maxEntryBytes: 2 ** 39 });
    tier.set("a", 1, 2 ** 33 + 1, NEVER);
    expect(tier.bytes).toBe(2 ** 33 + 1);
    tier.delete("a");
    tier.set("b", 1, 5, NEVER);
    expect(tier.bytes).toBe(5);
  });

  it.each(["maxEntries", "maxBytes", "maxEntryBytes"] as const)("refuses a bound that bounds nothing: %s", (option) => {
    for (const value of [0, -1, 1.5, Number.NaN]) {
      expect(() => setup({ [option]: value })).toThrow(CacheError);
      expect(() => setup({ [option]: value })).toThrow(`\`${option}\``);
    }
  });

  it("holds one entry when it may hold one", () => {
    for (const [, policy] of POLICIES) {
      const { tier } = setup({ maxEntries: 1, policy });
      for (let i = 0; i < 10; i += 1) {
        expect(tier.set(`k${i}`, i, 1, NEVER)).toBe(true);
        expect([...tier.entries()]).toEqual([[`k${i}`, i]]);
        expect(tier.bytes).toBe(1);
      }
    }
  });
});

describe("time", () => {
  it("ends an entry exactly at its deadline for get, peek, touch, delete and entries, before any timer ran", () => {
    for (const read of ["get", "peek", "touch", "delete", "entries"] as const) {
      const { tier, clock, gone } = setup();
      tier.set("a", 1, 10, 1000.5);
      const present = (): boolean => {
        if (read === "entries") return [...tier.entries()].length === 1;
        if (read === "touch") return tier.touch("a", 1000.5);
        if (read === "delete") return tier.delete("a");
        return tier[read]("a") === 1;
      };
      clock.step(1000.25);
      if (read !== "delete") expect(present()).toBe(true);
      clock.step(0.25);
      expect(present()).toBe(false);
      clock.advance(1000);
      expect(gone).toEqual([["a", 1, "expired"]]);
      expect(tier.stats()).toMatchObject({ expired: 1, evicted: 0 });
    }
  });

  it("gives memory back without being read, by one timer, and has none when nothing expires", () => {
    const { tier, clock, gone } = setup();
    tier.set("forever", 0, 10, NEVER);
    expect(clock.timers.size).toBe(0);
    for (let i = 0; i < 50; i += 1) tier.set(`k${i}`, i, 10, 1000 * (i + 1));
    expect(clock.timers.size).toBe(1);
    clock.advance(25_200);
    expect(tier.size).toBe(26);
    expect(tier.bytes).toBe(260);
    expect(gone).toHaveLength(25);
    clock.advance(30_000);
    expect(tier.size).toBe(1);
    expect(clock.timers.size).toBe(0);
  });

  it("stops the timer when the last entry with a deadline is deleted, replaced or touched", () => {
    const { tier, clock } = setup();
    const ends = [
      () => tier.delete("a"),
      () => tier.set("a", 1, 1, NEVER),
      () => tier.touch("a", NEVER),
      () => tier.clear(),
      () => tier.close(),
    ];
    for (const end of ends) {
      tier.set("a", 1, 1, clock.now() + 100);
      expect(clock.timers.size).toBe(1);
      end();
      expect(clock.timers.size).toBe(0);
    }
  });

  it("wakes for the earliest deadline, also when it comes last", () => {
    const { tier, clock } = setup();
    tier.set("late", 1, 1, 1_000_000);
    tier.set("soon", 1, 1, 1000);
    clock.advance(1200);
    expect(tier.size).toBe(1);
  });

  it("keeps an entry as long as it is touched, and no longer", () => {
    const { tier, clock } = setup();
    tier.set("a", 1, 1, 100);
    for (let i = 0; i < 100; i += 1) {
      clock.advance(90);
      expect(tier.touch("a", clock.now() + 100)).toBe(true);
    }
    clock.advance(300);
    expect(tier.size).toBe(0);
    expect(tier.touch("a", clock.now() + 100)).toBe(false);
  });

  it("expires at once what is touched or set with a time that is over or no time", () => {
    const { tier, gone } = setup();
    tier.set("a", 1, 1, 100);
    expect(tier.touch("a", 0)).toBe(true);
    expect(tier.set("b", 2, 1, 0)).toBe(false);
    expect(tier.set("c", 3, 1, Number.NaN)).toBe(false);
    expect(gone.map(([, , cause]) => cause)).toEqual(["expired", "expired", "expired"]);
    expect(tier.size).toBe(0);
  });

  it("lets the expired make room before the living", () => {
    const { tier, clock, gone } = setup({ maxEntries: 3, policy: createLru });
    tier.set("living", 1, 1, NEVER);
    tier.set("dead", 2, 1, 100);
    tier.set("other", 3, 1, NEVER);
    clock.step(1000);
    tier.set("new", 4, 1, NEVER);
    expect(gone).toEqual([["dead", 2, "expired"]]);
    expect(tier.peek("living")).toBe(1);
  });

  it("expires a crowd in portions, letting other work in between", () => {
    const { tier, clock } = setup({ maxEntries: 20_000, maxBytes: 1_000_000 });
    for (let i = 0; i < 10_000; i += 1) tier.set(`k${i}`, i, 1, 1000);
    clock.advance(1024);
    expect(tier.size).toBeGreaterThan(5000);
    clock.advance(10);
    expect(tier.size).toBe(0);
  });

  it("survives a clock that steps back and deadlines decades away", () => {
    const { tier, clock } = setup();
    clock.step(10_000_000);
    tier.set("a", 1, 1, clock.now() + 500);
    clock.step(-5_000_000);
    tier.set("b", 2, 1, clock.now() + 500);
    tier.set("far", 3, 1, clock.now() + 1e12);
    expect(tier.get("a")).toBe(1);
    clock.advance(1000);
    expect(tier.get("b")).toBeUndefined();
    clock.advance(6_000_000);
    expect([...tier.entries()]).toEqual([["far", 3]]);
    expect(clock.timers.size).toBe(1);
  });

  it("reads no clock on a hit of an entry without a deadline", () => {
    const { tier, clock } = setup();
    tier.set("a", 1, 1, NEVER);
    clock.now = () => {
      throw new Error("Expected no reading");
    };
    expect(tier.get("a")).toBe(1);
    expect(tier.set("b", 1, 1, NEVER)).toBe(true);
  });
});

describe("listeners", () => {
  it("may call everything, the tier being consistent when they run", () => {
    const { tier, gone } = setup({
      maxEntries: 3,
      policy: createLru,
      onRemove: (key, value, cause) => {
        gone.push([key, value, cause]);
        expect(tier.size).toBeLessThanOrEqual(3);
        if (key === "a") {
          tier.set("a", "again", 1, NEVER);
          tier.delete("b");
          tier.get("c");
        }
      },
    });
    for (const key of ["a", "b", "c", "d"]) tier.set(key, key, 1, NEVER);
    expect(gone).toEqual([
      ["a", "a", "evicted"],
      ["b", "b", "evicted"],
    ]);
    expect(new Set([...tier.entries()].map(([key]) => key))).toEqual(new Set(["c", "d", "a"]));
  });

  it("may clear and close", () => {
    for (const end of ["clear", "close"] as const) {
      const { tier, gone } = setup({
        onRemove: (key, value, cause) => {
          gone.push([key, value, cause]);
          if (gone.length === 1) tier[end]();
        },
      });
      for (let i = 0; i < 10; i += 1) tier.set(`k${i}`, i, 1, NEVER);
      tier.delete("k5");
      expect(tier.size).toBe(0);
      expect(gone).toHaveLength(end === "clear" ? 10 : 1);
    }
  });

  it("that throw leave the tier consistent and the others to be told", () => {
    const told: string[] = [];
    const { tier } = setup({
      onRemove: (key) => {
        told.push(key);
        if (told.length === 1) throw new Error("listener");
      },
    });
    for (let i = 0; i < 5; i += 1) tier.set(`k${i}`, i, 1, NEVER);
    expect(() => tier.clear()).toThrow("listener");
    expect(tier.size).toBe(0);
    tier.set("x", 1, 1, NEVER);
    tier.delete("x");
    expect(told.sort()).toEqual(["k0", "k1", "k2", "k3", "k4", "x"]);
  });
});

describe("entries", () => {
  it("ends, and gives each entry that stayed exactly once, while the tier is changed", () => {
    const { tier } = setup({ maxEntries: 50 });
    for (let i = 0; i < 20; i += 1) tier.set(`stay${i}`, i, 1, NEVER);
    for (let i = 0; i < 10; i += 1) tier.set(`go${i}`, i, 1, NEVER);
    const seen: string[] = [];
    for (const [key, value] of tier.entries()) {
      seen.push(key);
      tier.delete(`go${seen.length % 10}`);
      tier.set(`new${seen.length % 10}`, 1, 1, NEVER);
      if (key.startsWith("stay")) tier.set(key, value, 2, NEVER);
    }
    const stayed = seen.filter((key) => key.startsWith("stay"));
    expect(stayed).toHaveLength(20);
    expect(new Set(stayed).size).toBe(20);
  });

  it("stops early when the tier is cleared", () => {
    const { tier } = setup();
    for (let i = 0; i < 20; i += 1) tier.set(`k${i}`, i, 1, NEVER);
    let seen = 0;
    for (const _entry of tier.entries()) {
      seen += 1;
      tier.clear();
    }
    expect(seen).toBe(1);
  });
});

describe("close", () => {
  it("forgets everything without a word, and stores nothing afterwards", () => {
    const { tier, clock, gone } = setup();
    tier.set("a", 1, 10, 100);
    tier.get("a");
    tier.close();
    expect(tier.set("b", 2, 10, 100)).toBe(false);
    expect(tier.get("a")).toBeUndefined();
    expect(tier.delete("a")).toBe(false);
    expect([tier.size, tier.bytes, clock.timers.size, gone.length]).toEqual([0, 0, 0, 0]);
    tier.clear();
    tier.close();
    expect(tier.stats().entries).toBe(0);
  });
});

describe("memory", () => {
  function watched(inner: PolicyFactory, sizes: number[]): PolicyFactory {
    return (context: PolicyContext): EvictionPolicy => {
      const policy = inner(context);
      const resize = policy.resize.bind(policy);
      policy.resize = (slots) => {
        sizes.push(slots);
        resize(slots);
      };
      return policy;
    };
  }

  it("uses slots again: 30000 keys through 100 places need 101, and clear gives them back", () => {
    const sizes: number[] = [];
    const { tier, clock } = setup({ policy: watched(createWTinyLfu, sizes) });
    for (let i = 0; i < 30_000; i += 1) {
      tier.set(`k${i}`, i, 1, i % 3 === 0 ? NEVER : clock.now() + 50);
      if (i % 5 === 0) tier.delete(`k${i - 2}`);
      if (i % 7 === 0) tier.get(`k${i - 1}`);
      clock.advance(1);
    }
    expect(Math.max(...sizes)).toBe(101);
    tier.clear();
    expect(sizes.at(-1)).toBe(0);
    tier.set("again", 1, 1, NEVER);
    expect(tier.get("again")).toBe(1);
  });

  it("starts small, whatever the bound", () => {
    const sizes: number[] = [];
    const { tier } = setup({ maxEntries: 1_000_000, policy: watched(createWTinyLfu, sizes) });
    tier.set("a", 1, 1, NEVER);
    expect(sizes).toEqual([16]);
  });
});

describe("findVouched", () => {
  it("answers for a stored key that was vouched for, at this version and before that tick", () => {
    const { tier } = setup();
    for (let i = 0; i < 40; i += 1) tier.set(`k${i}`, i, 1, NEVER);
    expect(tier.findVouched("k33", 1, 0)).toBeUndefined();
    expect(tier.vouch("k33", "answer", 1, 5)).toBeGreaterThanOrEqual(0);
    expect(tier.findVouched("k33", 1, 4)).toBe("answer");
    expect(tier.findVouched("k33", 1, 5)).toBeUndefined();
    expect(tier.findVouched("k33", 2, 4)).toBeUndefined();
    expect(tier.findVouched("k32", 1, 4)).toBeUndefined();
    expect(tier.vouch("none", "answer", 1, 5)).toBe(-1);
  });

  it("says nothing of a value that took the place of another, under the same key or in the same slot", () => {
    const { tier } = setup({ maxEntries: 1 });
    tier.set("a", 1, 1, NEVER);
    tier.vouch("a", 1, 1, 5);
    tier.set("a", 2, 1, NEVER);
    expect(tier.findVouched("a", 1, 0)).toBeUndefined();
    tier.vouch("a", 2, 1, 5);
    tier.delete("a");
    tier.set("b", 3, 1, NEVER);
    expect(tier.findVouched("b", 1, 0)).toBeUndefined();
    tier.vouch("b", 3, 1, 5);
    tier.clear();
    tier.set("c", 4, 1, NEVER);
    expect(tier.findVouched("c", 1, 0)).toBeUndefined();
  });

  it("says nothing once it is withdrawn", () => {
    const { tier } = setup();
    tier.set("a", 1, 1, NEVER);
    tier.withdraw(tier.vouch("a", 1, 1, 5));
    expect(tier.findVouched("a", 1, 0)).toBeUndefined();
  });

  it("is a use", () => {
    const { tier } = setup({ maxEntries: 2, policy: createLru });
    tier.set("a", 1, 1, NEVER);
    tier.set("b", 2, 1, NEVER);
    tier.vouch("a", 1, 1, 5);
    expect(tier.findVouched("a", 1, 0)).toBe(1);
    tier.set("c", 3, 1, NEVER);
    expect([tier.peek("a"), tier.peek("b")]).toEqual([1, undefined]);
  });
});

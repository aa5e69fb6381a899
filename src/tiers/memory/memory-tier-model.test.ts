import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { ManualClock, seededRandom } from "../../../test/support/manual-clock.js";
import { createMemoryTier } from "./create-memory-tier.js";
import type { KeyFamily } from "./key-family.js";
import { createLru } from "./lru.js";
import type { MemoryTier, RemovalCause } from "./memory-tier.js";
import type { PolicyFactory } from "./policy.js";
import { createWTinyLfu } from "./w-tiny-lfu.js";

const NEVER = Number.POSITIVE_INFINITY;

const POLICIES: readonly [name: string, policy: PolicyFactory][] = [
  ["LRU", createLru],
  ["W-TinyLFU", createWTinyLfu],
];

/** What one run of the tier must satisfy, checked against nothing but the values handed in and the notices handed out. */
class Ledger {
  readonly held = new Map<number, { key: string; weight: number; deadline: number }>();
  readonly clock = new ManualClock();
  readonly tier: MemoryTier<number>;
  readonly family: KeyFamily;
  /** Operations the listener carries out, one per notice. */
  readonly #nested: Operation[];
  readonly #bounds: Bounds;
  /** Whether only the outermost call changes the tier. */
  readonly #alone: boolean;
  #allowed: ReadonlySet<RemovalCause> = new Set();
  #depth = 0;
  #count = 0;

  constructor(policy: PolicyFactory, bounds: Bounds, nested: Operation[] = []) {
    this.#bounds = bounds;
    this.#nested = [...nested];
    this.#alone = nested.length === 0;
    const options = { ...bounds, maxEntryBytes: 60, random: seededRandom(3), policy };
    this.tier = createMemoryTier<number>({
      ...options,
      clock: this.clock,
      onRemove: (key, value, cause) => this.#left(key, value, cause),
    });
    this.family = this.tier.family("k", "");
  }

  run({ kind, key, weight, ms }: Operation): void {
    this.#depth += 1;
    const now = this.clock.now();
    const live = this.#live(key);
    if (kind === "set") {
      this.#allowed = new Set(["evicted", "expired", "replaced", "refused"]);
      this.#count += 1;
      const value = this.#count;
      this.held.set(value, { key, weight, deadline: now + ms });
      const stored = this.tier.set(key, value, weight, now + ms);
      if (this.#depth === 1 && this.#alone) assert.equal(stored, this.held.has(value));
      if (weight > 60 || !(ms > 0)) assert.equal(stored, false);
    } else if (kind === "find") {
      this.#allowed = new Set();
      const found = this.tier.find(key);
      // Also one whose time is over, and of nothing that has left.
      if (this.#depth === 1) assert(found === undefined ? live === undefined : this.held.get(found)?.key === key);
      const { family } = this;
      family.units[family.from] = key.charCodeAt(1);
      assert.equal(this.tier.findIn(family, family.from + 1), found);
    } else if (kind === "get" || kind === "peek") {
      this.#allowed = new Set(["expired"]);
      const value = this.tier[kind](key);
      if (this.#depth === 1) assert.equal(value, live);
    } else if (kind === "touch") {
      this.#allowed = new Set(["expired"]);
      // In a listener the ledger may still hold values that have left already.
      const entry = this.held.get(this.#depth === 1 ? (live ?? -1) : (this.tier.peek(key) ?? -1));
      if (entry !== undefined) entry.deadline = now + ms;
      const touched = this.tier.touch(key, now + ms);
      if (this.#depth === 1) assert.equal(touched, live !== undefined);
    } else if (kind === "delete") {
      this.#allowed = new Set(["deleted", "expired"]);
      const deleted = this.tier.delete(key);
      if (this.#depth === 1) assert.equal(deleted, live !== undefined);
    } else if (kind === "pin") {
      // Says nothing of bounds; which of them stays is told in pinned.test.ts.
      this.tier.pin(KEYS.slice(0, weight % KEYS.length));
    } else if (kind === "clear") {
      this.#allowed = new Set(["deleted", "expired"]);
      this.tier.clear();
    } else {
      this.#allowed = new Set(["expired"]);
      if (this.#depth === 1 && kind === "advance") this.clock.advance(Number.isFinite(ms) ? Math.abs(ms) : 1);
      if (this.#depth === 1 && kind === "step" && Number.isFinite(ms)) this.clock.step(ms);
    }
    this.#depth -= 1;
  }

  check(): void {
    const { tier, held } = this;
    const now = this.clock.now();
    const entries = [...held.values()];
    assert.equal(tier.size, entries.length);
    assert.equal(
      tier.bytes,
      entries.reduce((sum, { weight }) => sum + weight, 0),
    );
    assert(tier.size <= this.#bounds.maxEntries);
    assert(tier.bytes <= this.#bounds.maxBytes);
    const living = [...held].filter(([, { deadline }]) => deadline > now);
    for (const [value, { key }] of living) assert.equal(tier.peek(key), value);
    for (const key of KEYS) assert.equal(tier.peek(key), this.#live(key));
    assert.deepEqual(new Map(tier.entries()), new Map(living.map(([value, { key }]) => [key, value])));
    const timed = entries.some(({ deadline }) => deadline < NEVER);
    assert.equal(this.clock.timers.size, timed ? 1 : 0);
  }

  #live(key: string): number | undefined {
    const now = this.clock.now();
    for (const [value, entry] of this.held) if (entry.key === key && entry.deadline > now) return value;
    return undefined;
  }

  #left(key: string, value: number, cause: RemovalCause): void {
    const entry = this.held.get(value);
    // Once: a value told twice is not held any more.
    assert.equal(entry?.key, key);
    if (cause === "expired") assert((entry?.deadline ?? 0) <= this.clock.now());
    if (this.#depth <= 1 && this.#alone) assert(this.#allowed.has(cause), cause);
    this.held.delete(value);
    const next = this.#nested.pop();
    if (next !== undefined) this.run(next);
  }
}

interface Bounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** The second has room for a pinned entry. */
const BOUNDS: readonly Bounds[] = [
  { maxEntries: 6, maxBytes: 100 },
  { maxEntries: 8, maxBytes: 300 },
];

interface Operation {
  kind: "set" | "get" | "find" | "peek" | "touch" | "delete" | "clear" | "pin" | "advance" | "step";
  key: string;
  weight: number;
  ms: number;
}

const KEYS = Array.from({ length: 10 }, (_, i) => `k${i}`);

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.oneof(
    { weight: 8, arbitrary: fc.constant("set" as const) },
    { weight: 5, arbitrary: fc.constant("get" as const) },
    { weight: 6, arbitrary: fc.constantFrom("peek", "find", "touch", "delete", "pin", "advance", "step") },
    { weight: 1, arbitrary: fc.constant("clear" as const) },
  ),
  key: fc.constantFrom(...KEYS),
  weight: fc.oneof(fc.nat(30), fc.nat(70)),
  ms: fc.oneof(fc.constant(NEVER), fc.integer({ min: 1, max: 1000 }), fc.integer({ min: -300, max: 100_000 })),
});

const SETTINGS = POLICIES.flatMap(([name, policy]) => BOUNDS.map((bounds) => ({ name, policy, bounds })));

describe.each(SETTINGS)("any sequence of calls, under $name with room for $bounds.maxEntries", ({ policy, bounds }) => {
  it("keeps the bounds, loses nothing untold and serves nothing that is over", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 80, size: "max" }), (operations) => {
        const ledger = new Ledger(policy, bounds);
        for (const next of operations) {
          ledger.run(next);
          ledger.check();
        }
      }),
      { numRuns: 150 },
    );
  });

  it("does so with a listener that itself calls the tier", () => {
    fc.assert(
      fc.property(
        fc.array(operation, { maxLength: 60, size: "max" }),
        fc.array(operation, { minLength: 1, maxLength: 30, size: "max" }),
        (operations, nested) => {
          const ledger = new Ledger(policy, bounds, nested);
          for (const next of operations) {
            ledger.run(next);
            ledger.check();
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

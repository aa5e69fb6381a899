import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../clock.js";
import { createMemoryTier } from "./create-memory-tier.js";
import { createLru } from "./lru.js";

/** A Map in order of use, oldest first. */
class NaiveLru {
  readonly #entries = new Map<string, number>();

  use(key: string): boolean {
    const weight = this.#entries.get(key);
    if (weight === undefined) return false;
    this.#entries.delete(key);
    this.#entries.set(key, weight);
    return true;
  }

  /** @returns the victims, in order. */
  set(key: string, weight: number): string[] {
    this.#entries.delete(key);
    this.#entries.set(key, weight);
    const victims: string[] = [];
    while (this.#entries.size > 5 || [...this.#entries.values()].reduce((a, b) => a + b, 0) > 50) {
      const oldest = [...this.#entries.keys()][0] as string;
      this.#entries.delete(oldest);
      victims.push(oldest);
    }
    return victims;
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}

describe("createLru", () => {
  it("picks the victims a naive LRU picks, one by one, by entries and by bytes", () => {
    const step = fc.tuple(fc.constantFrom("get", "get", "set", "set", "peek", "delete"), fc.nat(9), fc.nat(25));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const victims: string[] = [];
        const naive = new NaiveLru();
        const tier = createMemoryTier<number>({
          maxEntries: 5,
          maxBytes: 50,
          maxEntryBytes: 25,
          clock: systemClock,
          policy: createLru,
          onRemove: (key, _value, cause) => {
            if (cause === "evicted") victims.push(key);
          },
        });
        for (const [kind, id, weight] of steps) {
          const key = `k${id}`;
          let expected: string[] = [];
          if (kind === "get") expect(tier.get(key) !== undefined).toBe(naive.use(key));
          else if (kind === "peek") tier.peek(key);
          else if (kind === "delete") {
            tier.delete(key);
            naive.delete(key);
          } else {
            expect(tier.set(key, 1, weight, Number.POSITIVE_INFINITY)).toBe(true);
            expected = naive.set(key, weight);
          }
          expect(victims.splice(0)).toEqual(expected);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("has no window", () => {
    const tier = createMemoryTier({
      maxEntries: 5,
      maxBytes: 50,
      maxEntryBytes: 25,
      clock: systemClock,
      policy: createLru,
    });
    expect(tier.stats().windowShare).toBe(0);
  });
});

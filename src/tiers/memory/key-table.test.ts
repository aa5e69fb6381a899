import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeyHash } from "./hash-key.js";
import { KeyTable } from "./key-table.js";

const SLOTS = 64;
const KEYS: readonly string[] = Array.from({ length: 40 }, (_, id) => `k${id}`);

/** What a table must do, by a Map; hashes are chosen by the caller. */
class Model {
  readonly table = new KeyTable<number>(new KeyHash(1));
  readonly #slotOf = new Map<string, number>();
  readonly #valueOf = new Map<string, number>();
  readonly #hashOf: (key: string) => number;
  #free: number[] = [];
  #slots = 0;

  constructor(hashOf: (key: string) => number) {
    this.#hashOf = hashOf;
    this.#grow(2);
  }

  add(key: string, value: number): void {
    const known = this.#slotOf.get(key);
    if (known !== undefined) {
      this.table.setValue(known, value);
    } else {
      if (this.#free.length === 0) this.#grow(Math.min(SLOTS, 2 * this.#slots));
      const slot = this.#free.pop() as number;
      this.table.add(slot, key, this.#hashOf(key), value);
      this.#slotOf.set(key, slot);
    }
    this.#valueOf.set(key, value);
  }

  remove(key: string): void {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return;
    this.table.remove(slot);
    this.#slotOf.delete(key);
    this.#valueOf.delete(key);
    this.#free.push(slot);
    expect(this.table.keyAt(slot)).toBeUndefined();
  }

  clear(): void {
    this.table.clear();
    this.#slotOf.clear();
    this.#valueOf.clear();
    this.#free = [];
    this.#slots = 0;
    this.#grow(2);
  }

  check(): void {
    expect(this.table.size).toBe(this.#slotOf.size);
    for (const key of KEYS) {
      const slot = this.table.find(key, this.#hashOf(key));
      expect(slot).toBe(this.#slotOf.get(key) ?? -1);
      const units = Uint16Array.from(`${key}rest`, (unit) => unit.charCodeAt(0));
      expect(this.table.findUnits(units, key.length, this.#hashOf(key))).toBe(slot);
      if (slot === -1) continue;
      expect(this.table.keyAt(slot)).toBe(key);
      expect(this.table.valueAt(slot)).toBe(this.#valueOf.get(key));
      expect(this.table.hashAt(slot)).toBe(this.#hashOf(key));
    }
  }

  #grow(slots: number): void {
    for (let slot = this.#slots; slot < slots; slot += 1) this.#free.push(slot);
    this.#slots = slots;
    this.table.resize(slots);
  }
}

/** Homes in one run, around the end of the table, apart by tags only, and as they come. */
const HASHES: readonly [name: string, hashOf: (key: string) => number][] = [
  ["all the same", () => 0],
  ["all at the end of the table, with every bit set", () => -1],
  ["in a few runs that meet", (key) => Number(key.slice(1)) % 5],
  ["at the end and at the beginning", (key) => (Number(key.slice(1)) % 6) - 3],
  ["in one place, told apart by the tag", (key) => Number(key.slice(1)) << 24],
  ["seeded", (key) => new KeyHash(7).of(key)],
];

describe("KeyTable", () => {
  it.each(HASHES)("does what a Map does, with hashes that are %s", (_name, hashOf) => {
    const operation = fc.record({
      kind: fc.oneof(
        { weight: 10, arbitrary: fc.constant("add" as const) },
        { weight: 8, arbitrary: fc.constant("remove" as const) },
        { weight: 1, arbitrary: fc.constant("clear" as const) },
      ),
      key: fc.constantFrom(...KEYS),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120, size: "max" }), (operations) => {
        const model = new Model(hashOf);
        for (const [value, { kind, key }] of operations.entries()) {
          if (kind === "add") model.add(key, value);
          else if (kind === "remove") model.remove(key);
          else model.clear();
        }
        model.check();
      }),
      { numRuns: 100 },
    );
  });

  it("finds all that is there after long churn at constant size, in runs no longer than they began", () => {
    const hash = new KeyHash(3);
    const table = new KeyTable<number>(hash);
    const slots = 1000;
    table.resize(slots);
    for (let id = 0; id < slots; id += 1) table.add(id, `k${id}`, hash.of(`k${id}`), id);
    for (let id = slots; id < 100_000; id += 1) {
      table.remove(id % slots);
      table.add(id % slots, `k${id}`, hash.of(`k${id}`), id);
    }
    for (let id = 100_000 - slots; id < 100_000; id += 1) {
      expect(table.valueAt(table.find(`k${id}`, hash.of(`k${id}`)))).toBe(id);
    }
    for (let id = 0; id < 1000; id += 1) expect(table.find(`k${id}`, hash.of(`k${id}`))).toBe(-1);
  });

  it("changes nothing by reading ahead, of a slot or of none", () => {
    const model = new Model(() => 3);
    for (let id = 0; id < 20; id += 1) model.add(`k${id}`, id);
    for (let slot = -1; slot < 20; slot += 1) model.table.fetch(3, slot);
    model.check();
    expect(model.table.size).toBe(20);
  });

  it("does not take a key for another with the same hash, in either spelling", () => {
    const table = new KeyTable<string>(new KeyHash(1));
    table.resize(4);
    table.add(0, "abc", 5, "value");
    for (const [text, length] of [
      ["abd", 3],
      ["abcd", 4],
      ["abc", 2],
      ["xbc", 3],
    ] as const) {
      const units = Uint16Array.from(text, (unit) => unit.charCodeAt(0));
      expect(table.findUnits(units, length, 5)).toBe(-1);
    }
    expect(table.find("abd", 5)).toBe(-1);
    expect(table.find("abc", 5)).toBe(0);
  });
});

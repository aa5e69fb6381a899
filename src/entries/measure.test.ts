import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { weighed } from "../../test/fixtures/entries/shapes.js";
import { contacts, values } from "../../test/fixtures/entries/values.js";
import { measure, seal } from "./seal.js";

function list<T>(length: number, item: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => item(i));
}

describe("estimates of the heap", () => {
  // Weighed on Node 20 by test/fixtures/entries/weigh.ts: a heap is too restless to be weighed by a test.
  const file = new URL("../../test/fixtures/entries/weights.json", import.meta.url);
  const weights = JSON.parse(readFileSync(file, "utf8")) as Record<string, number>;

  it("are within 15 % of what each kind of value takes: sealed, decoded and as it is", () => {
    const cases = weighed();
    expect(cases.map(({ what }) => what).sort()).toEqual(Object.keys(weights).sort());
    const far = cases.filter(({ what, estimate }) => Math.abs(estimate / (weights[what] ?? 0) - 1) > 0.15);
    expect(far.map(({ what, estimate }) => [what, estimate, weights[what]])).toEqual([]);
  });
});

describe("measure", () => {
  it("agrees with seal but for arrays of fractions, which only freezing boxes", () => {
    expect(measure(contacts(20))).toBe(seal(contacts(20)).bytes);
    expect(measure([0.5, 1.5])).toBe(64);
    expect(measure(Object.freeze([0.5, 1.5]))).toBe(96);
    expect(seal([0.5, 1.5]).bytes).toBe(96);
  });

  it("takes an instance of a class for the plain object it is laid out as", () => {
    class Account {
      readonly owner = "Ann";
      readonly balance = 0.5;
    }
    expect(measure(new Account())).toBe(measure({ owner: "Ann", balance: 0.5 }));
    expect(measure(new (class extends Error {})("x"))).toBeGreaterThan(measure({}) + 100);
  });

  it("takes any value there is, and never throws", () => {
    const cyclic: { self?: unknown; list: unknown[] } = { list: [] };
    cyclic.self = cyclic;
    cyclic.list.push(cyclic, cyclic.list);
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    class Page {
      text = "x".repeat(1_000);
    }
    const odd: unknown[] = [
      cyclic,
      revoked.proxy,
      new Proxy([], {}),
      (): number => 1,
      Symbol("x"),
      new WeakMap(),
      Promise.resolve(1),
      new Error("x"),
      /x/,
      new SharedArrayBuffer(8),
      new DataView(new ArrayBuffer(8)),
      Object.create(null),
      new (class extends Map {
        override get size(): number {
          throw new Error("size");
        }
      })(),
      new Array(3),
      new Array(2 ** 31),
      globalThis,
    ];
    for (const value of odd) expect(measure(value)).toBeGreaterThanOrEqual(0);
    expect(measure(new Page())).toBeGreaterThan(1_000);
    fc.assert(
      fc.property(values, (value) => measure(value) >= 0),
      { numRuns: 100 },
    );
  });

  it("calls no accessor of an object", () => {
    let calls = 0;
    measure({
      get relation() {
        return ++calls;
      },
    });
    expect(calls).toBe(0);
  });

  it("counts what is met twice once", () => {
    const shared = { text: "x".repeat(10_000) };
    expect(measure([shared, shared])).toBeLessThan(11_000);
  });

  it("looks at 10,000 parts and takes the rest to be like them", () => {
    let looked = 0;
    const countingRow = (i: number): object =>
      new Proxy(
        { i },
        {
          ownKeys: () => {
            looked++;
            return [];
          },
        },
      );
    measure(list(50_000, countingRow));
    expect(looked).toBe(0);
    const rows = list(100_000, (i) => ({ id: i, name: `name of ${i % 10}` }));
    const all = seal(rows).bytes;
    expect(measure(rows) / all).toBeGreaterThan(0.9);
    expect(measure(rows) / all).toBeLessThan(1.1);
    const deep = { before: 1, rows: { inner: rows }, after: 2 };
    expect(measure(deep) / all).toBeGreaterThan(0.9);
    expect(measure(new Map(rows.map((row) => [row.id, row]))) / all).toBeGreaterThan(0.9);
  });

  it("goes through a list linked a million times", () => {
    let head: unknown = undefined;
    for (let i = 0; i < 1_000_000; i++) head = { next: head };
    expect(measure(head)).toBeGreaterThan(500 * 32 - 1);
  });
});

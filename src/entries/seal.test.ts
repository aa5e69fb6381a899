import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contacts, isSame, values } from "../../test/fixtures/entries/values.js";
import { CacheError } from "../errors.js";
import { decodeValue, encodeValue } from "./codec/codec.js";
import { adopt, copy, seal, unseal } from "./seal.js";

/** Every object in a value, itself with it. */
function objectsIn(value: unknown): object[] {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return [];
  if (value instanceof Map) return [value, ...[...value].flat(1).flatMap(objectsIn)];
  if (value instanceof Set) return [value, ...[...value].flatMap(objectsIn)];
  return [value, ...Object.values(value).flatMap(objectsIn)];
}

function isPlain(value: object): boolean {
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

/** A value with everything in it that freezing cannot protect. */
function mixed(): {
  list: { at: Date }[];
  map: Map<string, { a: number }>;
  set: Set<number>;
  bytes: Uint8Array;
  words: Uint16Array;
  plain: { b: number };
} {
  return {
    list: [{ at: new Date(5) }],
    map: new Map([["x", { a: 1 }]]),
    set: new Set([1]),
    bytes: Uint8Array.of(1, 2),
    words: Uint16Array.of(3),
    plain: { b: 1 },
  };
}

function codeOf(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof CacheError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("seal", () => {
  it("gives a copy of the same data that shares no object with it, frozen wherever it can be", () => {
    fc.assert(
      fc.property(values, (value) => {
        const sealed = seal(value);
        const given = new Set(objectsIn(value));
        const kept = objectsIn(sealed.value);
        return (
          isSame(sealed.value, value) &&
          kept.every((part) => !given.has(part)) &&
          kept.every((part) => !isPlain(part) || Object.isFrozen(part)) &&
          objectsIn(value).every((part) => !Object.isFrozen(part) || Object.keys(part).length === 0 || !isPlain(part))
        );
      }),
      { numRuns: 100 },
    );
  });

  it("agrees with the codec on what comes back", () => {
    fc.assert(
      fc.property(values, (value) => isSame(seal(value).value, decodeValue(encodeValue(value)))),
      { numRuns: 100 },
    );
  });

  it("says whether a value holds what freezing cannot protect", () => {
    const mutable = [new Date(0), new Map(), new Set(), new Uint8Array(1), new Float64Array(1), new ArrayBuffer(1)];
    for (const part of mutable) {
      expect(seal(part).mutable).toBe(true);
      expect(seal({ deep: [{ part }] }).mutable).toBe(true);
    }
    for (const value of [undefined, null, 1, "text", 1n, true, {}, [], contacts(2)])
      expect(seal(value).mutable).toBe(false);
  });

  it("refuses what the codec refuses, in the same words", () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    class Money {
      amount = 1;
    }
    const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i]));
    const refusals: unknown[] = [
      (): number => 1,
      Symbol("x"),
      { items: [0, 1, 2, { fn: (): number => 1 }] },
      { price: new Money() },
      new Array(3),
      cyclic,
      Promise.resolve(1),
      Object.defineProperty({}, "a", { get: () => 1, enumerable: true }),
      Object.defineProperty({ ...wide }, "__proto__", { value: 1, enumerable: true }),
      new Map([[{ a: new Error("x") }, 1]]),
      new Set([new (class extends Date {})()]),
      1n << 2_000_000n,
      new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error("trap");
          },
        },
      ),
    ];
    for (const value of refusals) {
      const mine = codeOf(() => seal(value));
      expect(mine.code).toBe("ERR_CACHE_VALUE");
      expect(mine).toEqual(codeOf(() => encodeValue(value)));
    }
  });

  it("refuses a value that shares its parts exponentially", () => {
    let value: unknown = [];
    for (let i = 0; i < 100; i++) value = [value, value];
    expect(codeOf(() => seal(value)).message).toContain("128 MiB");
  });

  it("takes 128 levels and refuses 129", () => {
    let value: unknown = {};
    for (let i = 1; i < 128; i++) value = { value };
    expect(isSame(seal(value).value, value)).toBe(true);
    expect(codeOf(() => seal({ value })).message).toContain("more than 128 levels deep");
  });

  it("keeps what the giver changes afterwards out of the cache", () => {
    const value = mixed();
    const sealed = seal(value);
    value.list.push({ at: new Date(6) });
    value.list[0]?.at.setTime(7);
    value.map.clear();
    value.set.add(2);
    value.bytes[0] = 9;
    value.words[0] = 9;
    value.plain.b = 9;
    expect(isSame(sealed.value, mixed())).toBe(true);
  });
});

describe("adopt", () => {
  it("freezes a value where it is, and says of it what seal would", () => {
    fc.assert(
      fc.property(values, (value) => {
        const decoded = decodeValue(encodeValue(value));
        const adopted = adopt(decoded);
        const sealed = seal(decoded);
        return (
          (adopted.value === decoded || (adopted.value !== adopted.value && decoded !== decoded)) &&
          adopted.bytes === sealed.bytes &&
          adopted.mutable === sealed.mutable &&
          isSame(adopted.value, value) &&
          objectsIn(adopted.value).every((part) => !isPlain(part) || Object.isFrozen(part))
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe("unseal", () => {
  it("gives the same data, of which nothing that can be changed is the cache's own", () => {
    fc.assert(
      fc.property(values, (value) => {
        const sealed = seal(value).value;
        const kept = new Set(objectsIn(sealed).filter((part) => !isPlain(part)));
        const given = objectsIn(unseal(sealed));
        return (
          isSame(unseal(sealed), value) &&
          given.every((part) => !kept.has(part)) &&
          given.every((part) => !isPlain(part) || Object.isFrozen(part))
        );
      }),
      { numRuns: 100 },
    );
  });

  it("keeps what one reader changes from the next", () => {
    const sealed = seal(mixed()).value;
    const reader = unseal(sealed) as ReturnType<typeof mixed>;
    reader.list[0]?.at.setTime(7);
    reader.map.clear();
    reader.set.add(2);
    reader.bytes[0] = 9;
    reader.words[0] = 9;
    expect(() => reader.list.push({ at: new Date(6) })).toThrow(TypeError);
    expect(isSame(unseal(sealed), mixed())).toBe(true);
  });

  it("shares what is frozen through and through", () => {
    const sealed = seal({ ...mixed(), rows: contacts(2) }).value as { plain: object; rows: object; list: object };
    const reader = unseal(sealed) as typeof sealed;
    expect(reader.plain).toBe(sealed.plain);
    expect(reader.rows).toBe(sealed.rows);
    expect(reader.list).not.toBe(sealed.list);
    const plain = seal(contacts(2)).value;
    expect(unseal(plain)).toBe(plain);
  });
});

describe("copy", () => {
  it("gives the same data of which nothing is shared and nothing frozen", () => {
    fc.assert(
      fc.property(values, (value) => {
        const sealed = seal(value).value;
        const kept = new Set(objectsIn(sealed));
        const given = copy(sealed);
        return isSame(given, value) && objectsIn(given).every((part) => !kept.has(part) && Object.isExtensible(part));
      }),
      { numRuns: 100 },
    );
  });

  it("may be changed without the cache noticing", () => {
    const sealed = seal(mixed()).value;
    const reader = copy(sealed) as ReturnType<typeof mixed>;
    reader.list.push({ at: new Date(6) });
    reader.list[0]?.at.setTime(7);
    reader.plain.b = 9;
    (reader.map.get("x") as { a: number }).a = 9;
    expect(isSame(copy(sealed), mixed())).toBe(true);
  });
});

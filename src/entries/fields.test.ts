import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isSame, values } from "../../test/fixtures/entries/values.js";
import { encodeValue } from "./codec/codec.js";
import { join, split, without } from "./fields.js";

const person = (): Record<string, unknown> => ({ id: 7, email: "a@b.c", name: "Ada", phone: undefined });

describe("without", () => {
  it("leaves fields out of an object, whatever they hold, and keeps the order of the others", () => {
    expect(Object.entries(without(person(), ["phone", "id", "nickname"]) as object)).toEqual([
      ["email", "a@b.c"],
      ["name", "Ada"],
    ]);
  });

  it("leaves them out of the objects in an array, and of nothing deeper", () => {
    const value = [person(), 1, null, undefined, [person()], { of: person() }];
    expect(without(value, ["email", "phone"])).toEqual([
      { id: 7, name: "Ada" },
      1,
      null,
      undefined,
      [person()],
      { of: person() },
    ]);
    expect(value[0]).toEqual(person());
  });

  it("gives back what has none of them as it is", () => {
    for (const value of [undefined, null, 1, "id", new Map([["email", 1]]), { a: 1 }, [1, { a: 1 }], [], {}])
      expect(without(value, ["email"])).toBe(value);
  });

  it("never changes the object it is given", () => {
    const frozen = Object.freeze(person());
    expect(without(frozen, ["email"])).toEqual({ id: 7, name: "Ada", phone: undefined });
    expect(frozen).toEqual(person());
  });

  it("leaves to others what no cache stores: an instance, a getter, a hole", () => {
    class Person {
      email = "a@b.c";
    }
    const ada = new Person();
    expect(without(ada, ["email"])).toBe(ada);
    const getting = Object.defineProperty(person(), "age", { get: () => expect.unreachable(), enumerable: true });
    expect(() => encodeValue(without(getting, ["email"]))).toThrow("value.age");
    const holed = [person()];
    holed[2] = person();
    expect(() => encodeValue(without(holed, ["email"]))).toThrow("a hole in an array");
    const sneaky = Object.defineProperty(person(), "__proto__", { value: { admin: true }, enumerable: true });
    const rest = without(sneaky, ["email"]) as { admin?: boolean };
    expect(rest.admin).toBeUndefined();
    expect(() => encodeValue(rest)).toThrow("__proto__");
  });
});

describe("split", () => {
  it("takes fields out of a plain object, with undefined in their places", () => {
    const parts = split(person(), ["email", "phone", "nickname"]);
    expect(Object.entries(parts?.open as object)).toEqual([
      ["id", 7],
      ["email", undefined],
      ["name", "Ada"],
      ["phone", undefined],
    ]);
    expect(Object.entries(parts?.taken as object)).toEqual([
      ["email", "a@b.c"],
      ["phone", undefined],
    ]);
  });

  it("has no parts of anything else", () => {
    for (const value of [undefined, null, 1, "email", [person()], new Map([["email", 1]]), new Date(0)])
      expect(split(value, ["email"])).toBeUndefined();
  });

  it("is undone by join, to the order of the fields", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.string({ maxLength: 3 }), values, fc.boolean()), {
          selector: ([name]) => name,
          maxLength: 6,
        }),
        (properties) => {
          // A property of that name is refused by whoever stores it.
          const known = properties.filter(([name]) => name !== "__proto__");
          const object = Object.fromEntries(known.map(([name, value]) => [name, value]));
          const parts = split(object, [...known.filter(([, , taken]) => taken).map(([name]) => name), "absent"]);
          const joined = join(parts?.open, parts?.taken) as object;
          return isSame(joined, object) && Object.keys(joined).join() === Object.keys(object).join();
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("join", () => {
  it.each([
    ["a field that has no place", { a: 1 }, { b: 2 }],
    ["fields of nothing", undefined, {}],
    ["fields of an array", [1], { 0: 2 }],
    ["fields that are none", { a: 1 }, [2]],
  ])("refuses %s", (_, open, taken) => {
    expect(() => join(open, taken)).toThrow(expect.objectContaining({ code: "ERR_CACHE_CORRUPT" }));
  });
});

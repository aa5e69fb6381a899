import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contacts, isSame, values } from "../../../test/fixtures/entries/values.js";
import { CacheError } from "../../errors.js";
import { decodeValue, encodeValue } from "./codec.js";
import { toFormatOrder } from "./data.js";

function roundTrip(value: unknown): unknown {
  return decodeValue(encodeValue(value));
}

/** The message of the refusal. */
function refused(value: unknown): string {
  try {
    encodeValue(value);
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_VALUE") return error.message;
    throw error;
  }
  throw new Error("it was encoded");
}

/** Decodes whatever it is; fails on any error but the one that is promised. */
function decodeAnything(bytes: Uint8Array): "value" | "corrupt" {
  try {
    decodeValue(bytes);
    return "value";
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_CORRUPT") return "corrupt";
    throw error;
  }
}

/** `[1, hole, 3]`. */
function holed(): unknown[] {
  const array = new Array<unknown>(3);
  array[0] = 1;
  array[2] = 3;
  return array;
}

function nested(levels: number): unknown {
  let value: unknown = [];
  for (let i = 1; i < levels; i++) value = [value];
  return value;
}

describe("what you encode is what you decode", () => {
  it("gives back every value of the closed list, with order, sign of zero and undefined kept", () => {
    fc.assert(
      fc.property(values, (value) => isSame(roundTrip(value), value)),
      { numRuns: 250 },
    );
  });

  it.each([
    ["undefined", undefined],
    ["a negative zero", -0],
    ["NaN", NaN],
    ["an integer at the edge of 16 bits", -32_769],
    ["an integer beyond 32 bits", 2 ** 31],
    ["the largest double", Number.MAX_VALUE],
    ["a lone surrogate", "\ud800"],
    ["a lone surrogate in a long text", `${"é".repeat(40)}\udfff`],
    ["text of 31 characters", "x".repeat(31)],
    ["text of 32 characters", "x".repeat(32)],
    ["Latin-1 text", "Straße, cañón, Ærø: ".repeat(5)],
    ["an emoji in English", `${"plain text ".repeat(20)}🚀`],
    ["Chinese", "缓存是一种很好的东西".repeat(20)],
    ["a long text", "0123456789".repeat(100_000)],
    ["a bigint of 4,000 digits", -(10n ** 4000n)],
    ["a bigint of 64 bits", 2n ** 64n - 1n],
    ["an invalid date", new Date(Number.NaN)],
    ["a date before the epoch", new Date(-1)],
    ["the last date there is", new Date(8.64e15)],
    ["an object with undefined in it", { a: undefined, b: 1 }],
    ["keys that are indices, in the order objects keep", { 2: "b", 1: "a", x: 0, 4294967295: "far" }],
    ["keys of Object.prototype", { constructor: 1, toString: 2, hasOwnProperty: 3 }],
    ["an empty Map in a Set in an array", [new Set([new Map()])]],
    [
      "a Map with NaN and objects for keys",
      new Map<unknown, unknown>([
        [NaN, 1],
        [{ a: 1 }, 2],
        [undefined, undefined],
      ]),
    ],
    ["1,000 keys", Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`key ${i}`, i]))],
    ["40 keys", Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`key ${i}`, i]))],
    ["keys too long to share", [{ ["k".repeat(3_000)]: 1 }, { ["k".repeat(3_000)]: 2 }]],
    ["an array of 70,000", Array.from({ length: 70_000 }, (_, i) => i)],
    [
      "300 different shapes, each twice",
      [1, 2].flatMap(() => Array.from({ length: 300 }, (_, i) => ({ [`only${i}`]: i, b: 1 }))),
    ],
    ["128 levels", nested(128)],
  ])("gives back %s", (_, value) => {
    expect(isSame(roundTrip(value), value)).toBe(true);
  });

  it("gives back each type of typed array, over memory of its own", () => {
    const types = [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      Float32Array,
      Float64Array,
    ];
    for (const Type of types) {
      const array = Type.from([1, 2, 250]);
      expect(isSame(roundTrip({ array }), { array })).toBe(true);
      expect((roundTrip(array) as Uint8Array).buffer.byteLength).toBe(array.byteLength);
    }
    expect(isSame(roundTrip(BigInt64Array.of(-1n, 2n ** 62n)), BigInt64Array.of(-1n, 2n ** 62n))).toBe(true);
    expect(isSame(roundTrip(BigUint64Array.of(2n ** 64n - 1n)), BigUint64Array.of(2n ** 64n - 1n))).toBe(true);
  });

  it("takes a part of a buffer for that part alone", () => {
    const part = Float64Array.of(1, 2, 3, 4).subarray(1, 3);
    expect(isSame(roundTrip(part), Float64Array.of(2, 3))).toBe(true);
  });

  it("gives a Buffer back as a Uint8Array", () => {
    expect(isSame(roundTrip(Buffer.from("abc")), Uint8Array.of(97, 98, 99))).toBe(true);
  });

  it("gives an object without a prototype back as a plain object", () => {
    const bare: Record<string, unknown> = Object.create(null);
    bare["a"] = 1;
    expect(isSame(roundTrip(bare), { a: 1 })).toBe(true);
  });

  it("writes an object that is met twice two times", () => {
    const shared = { a: 1 };
    const [first, second] = roundTrip([shared, shared]) as object[];
    expect(first).toEqual(second);
    expect(first).not.toBe(second);
  });

  it("takes the built-ins of another realm for what they are", () => {
    const foreign: unknown = runInNewContext(
      "({ list: [1, { a: 1 }], date: new Date(5), map: new Map([[1, 2]]), set: new Set([3]), bytes: new Uint8Array([4]), words: new Uint16Array([5]) })",
    );
    const own = {
      list: [1, { a: 1 }],
      date: new Date(5),
      map: new Map([[1, 2]]),
      set: new Set([3]),
      bytes: Uint8Array.of(4),
      words: Uint16Array.of(5),
    };
    expect(isSame(roundTrip(foreign), own)).toBe(true);
  });

  it("leaves out symbol keys and hidden properties", () => {
    const value = Object.defineProperty({ a: 1, [Symbol("tag")]: 2 }, "hidden", { value: 3, enumerable: false });
    expect(isSame(roundTrip(value), { a: 1 })).toBe(true);
  });

  it("encodes a detached array as one without items, which it is", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    expect(isSame(roundTrip(bytes), new Uint8Array(0))).toBe(true);
  });

  it("freezes objects and arrays at every level when asked to", () => {
    const value = decodeValue(encodeValue({ list: [{ a: 1 }], map: new Map([[1, { b: [2] }]]) }), { freeze: true }) as {
      list: object[];
      map: Map<number, { b: number[] }>;
    };
    expect(
      [value, value.list, value.list[0], value.map.get(1), value.map.get(1)?.b].every((part) => Object.isFrozen(part)),
    ).toBe(true);
    expect(Object.isFrozen((decodeValue(encodeValue({ a: [1] })) as { a: number[] }).a)).toBe(false);
  });

  it("shares no memory with its input", () => {
    const bytes = encodeValue({
      text: "x".repeat(40),
      short: "abc",
      bytes: Uint8Array.of(1, 2, 3),
      words: Uint16Array.of(4, 5),
    });
    const value = decodeValue(bytes);
    bytes.fill(0xff);
    expect(
      isSame(value, { text: "x".repeat(40), short: "abc", bytes: Uint8Array.of(1, 2, 3), words: Uint16Array.of(4, 5) }),
    ).toBe(true);
  });

  it("reads a message that lies inside a larger buffer", () => {
    const message = encodeValue(contacts(2));
    const larger = new Uint8Array(message.length + 20).fill(0xee);
    larger.set(message, 7);
    expect(isSame(decodeValue(larger.subarray(7, 7 + message.length)), contacts(2))).toBe(true);
  });

  it("keeps a value encoded earlier when another is encoded", () => {
    const first = encodeValue(contacts(1));
    const before = Buffer.from(first).toString("hex");
    encodeValue("y".repeat(5_000));
    expect(Buffer.from(first).toString("hex")).toBe(before);
  });

  it("writes the keys of rows once", () => {
    const one = encodeValue(contacts(1)).length;
    const fifty = encodeValue(contacts(50)).length;
    expect(fifty).toBeLessThan(JSON.stringify(contacts(50)).length * 0.55);
    expect((fifty - one) / 49).toBeLessThan(one - 80);
  });

  it("turns elements to the format's byte order on a machine of the other order", () => {
    const bytes = Uint8Array.of(1, 2, 3, 4);
    toFormatOrder(bytes, 2, false);
    expect([...bytes]).toEqual([2, 1, 4, 3]);
    toFormatOrder(bytes, 4, false);
    expect([...bytes]).toEqual([3, 4, 1, 2]);
    toFormatOrder(bytes, 4, true);
    expect([...bytes]).toEqual([3, 4, 1, 2]);
  });
});

describe("what is not data is refused by name and place", () => {
  class Money {
    amount = 1;
  }
  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;
  const own = Object.defineProperty({}, "__proto__", { value: 1, enumerable: true });
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  it.each([
    ["a function", { items: [0, 1, 2, { fn: (): void => undefined }] }, "`value.items[3].fn` is the function fn"],
    ["a symbol", [Symbol("x")], "`value[0]` is a symbol"],
    ["a class instance", { price: new Money() }, "`value.price` is an instance of Money"],
    ["a subclass of a built-in", new (class Registry extends Map {})(), "`value` is an instance of Registry"],
    ["a subclass of Array", new (class Rows extends Array {})(), "`value` is an instance of Rows"],
    ["a promise", { user: Promise.resolve(1) }, "`value.user` is an instance of Promise (is an await missing?)"],
    ["an error", [new TypeError("x")], "`value[0]` is an instance of TypeError"],
    ["a regular expression", { re: /x/ }, "`value.re` is an instance of RegExp"],
    ["a URL", { at: new URL("http://localhost/") }, "`value.at` is an instance of URL"],
    ["a WeakMap", new WeakMap(), "`value` is an instance of WeakMap"],
    ["a DataView", new DataView(new ArrayBuffer(1)), "`value` is an instance of DataView"],
    ["shared memory", new SharedArrayBuffer(8), "`value` is an instance of SharedArrayBuffer"],
    ["a boxed number", [Object(1)], "`value[0]` is an instance of Number"],
    ["an iterator", [1].values(), "`value` is an"],
    ["a prototype of its own", Object.create({ inherited: 1 }), "`value` is an"],
    ["a cycle", { a: [cyclic] }, "`value.a[0].self` is a cycle"],
    ["129 levels", nested(129), "[0]` is more than 128 levels deep"],
    ["a hole", { list: holed() }, "`value.list[1]` is a hole in an array"],
    ["a long sparse array", new Array(2 ** 31), "`value[0]` is a hole"],
    [
      "an accessor",
      {
        get now() {
          return 1;
        },
      },
      "`value.now` is an accessor",
    ],
    ["an own __proto__", { a: own }, "`value.a.__proto__` is a property named __proto__"],
    ["something in a Map's value", new Map([["a b", Symbol("x")]]), '`value.get("a b")` is a symbol'],
    ["something in a Map's key", new Map([[Symbol("x"), 1]]), "`value.<key 0>` is a symbol"],
    ["something in a Set", new Set([1, (): number => 1]), "`value.<item 1>` is a function"],
    ["a bigint without end", 1n << 2_000_000n, "`value` is a bigint of more than"],
    ["a key that is no identifier", { "a-b": Symbol("x") }, '`value["a-b"]` is a symbol'],
    ["a revoked proxy", { a: 1, b: revoked.proxy }, "a value that threw while it was read"],
  ])("refuses %s", (_, value, message) => {
    expect(refused(value)).toContain(message);
  });

  it("never calls a getter", () => {
    let calls = 0;
    refused([
      1,
      {
        get field() {
          return ++calls;
        },
      },
    ]);
    expect(calls).toBe(0);
  });

  it("refuses an accessor and __proto__ in an object too large to have a shape", () => {
    const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i]));
    expect(refused(Object.defineProperty({ ...wide }, "late", { get: () => 1, enumerable: true }))).toContain(
      "`value.late` is an accessor",
    );
    expect(refused(Object.defineProperty({ ...wide }, "__proto__", { value: 1, enumerable: true }))).toContain(
      "__proto__",
    );
  });

  it("says what a proxy's trap threw", () => {
    const cause = new Error("from the trap");
    const value = new Proxy(
      {},
      {
        ownKeys: () => {
          throw cause;
        },
      },
    );
    expect(() => encodeValue(value)).toThrow(expect.objectContaining({ code: "ERR_CACHE_VALUE", cause }));
  });

  it("ends a value that shares its parts exponentially", () => {
    let value: unknown = [];
    for (let i = 0; i < 100; i++) value = [value, value];
    expect(refused(value)).toContain("at most 128 MiB");
  });

  it("encodes as ever after a refusal, and inside another encoding", () => {
    refused({ a: { b: Symbol("x") } });
    let inner: Uint8Array | undefined;
    const reentrant = new Proxy(
      { a: 1 },
      {
        ownKeys: (target) => {
          inner ??= encodeValue({ a: "inner", z: [1] });
          return Reflect.ownKeys(target);
        },
      },
    );
    const outer = encodeValue([{ a: 0 }, reentrant, { a: 2 }]);
    expect(isSame(decodeValue(outer), [{ a: 0 }, { a: 1 }, { a: 2 }])).toBe(true);
    expect(isSame(decodeValue(inner as Uint8Array), { a: "inner", z: [1] })).toBe(true);
  });
});

describe("bytes of anybody are a value or ERR_CACHE_CORRUPT, and nothing else", () => {
  it("takes random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeAnything(bytes) !== undefined),
      { numRuns: 2_000 },
    );
  });

  it("takes real encodings with bytes changed", () => {
    fc.assert(
      fc.property(
        values,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (value, changes) => {
          const bytes = Uint8Array.from(encodeValue(value));
          for (const [place, byte] of changes) bytes[place % bytes.length] = byte;
          return decodeAnything(bytes) !== undefined;
        },
      ),
      { numRuns: 250 },
    );
  });

  it("refuses every beginning of a real encoding, and anything after its end", () => {
    fc.assert(
      fc.property(values, fc.nat(), (value, cut) => {
        const bytes = encodeValue(value);
        const longer = new Uint8Array(bytes.length + 1);
        longer.set(bytes);
        return (
          decodeAnything(bytes.subarray(0, cut % bytes.length)) === "corrupt" && decodeAnything(longer) === "corrupt"
        );
      }),
      { numRuns: 300 },
    );
  });

  it("refuses a tag with nothing behind it, but for those that are whole", () => {
    const whole = Array.from({ length: 0x100 }, (_, tag) => tag).filter(
      (tag) => decodeAnything(Uint8Array.of(tag)) === "value",
    );
    // The small integers, the empty text, the empty array, and the four words.
    expect(whole).toEqual([...new Array(0x80).keys(), 0x80, 0xa0, 0xc0, 0xc1, 0xc2, 0xc3]);
  });

  const length32 = [0xff, 0xff, 0xff, 0xff, 0x0f];
  it.each([
    ["no bytes", []],
    ["a tag without meaning", [0xff]],
    ["an array longer than the message", [0xcb, ...length32]],
    ["text longer than the message", [0xc8, ...length32]],
    ["UTF-16 longer than the message", [0xca, ...length32]],
    ["bytes longer than the message", [0xd4, ...length32]],
    ["an ArrayBuffer longer than the message", [0xd6, ...length32]],
    ["a typed array longer than the message", [0xd5, 7, ...length32]],
    ["a Map longer than the message", [0xd2, ...length32]],
    ["a Set longer than the message", [0xd3, ...length32]],
    ["an object longer than the message", [0xcd, ...length32]],
    ["a bigint longer than the message", [0xd0, ...length32]],
    ["a length beyond 32 bits", [0xcb, 0xff, 0xff, 0xff, 0xff, 0x1f]],
    ["a length without end", [0xcb, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]],
    ["arrays that each claim what is left", [0xcb, 4, 0xcb, 4, 0xcb, 4, 0, 0, 0, 0]],
    ["text that is not UTF-8", [0xc9, 2, 0xc3, 0x28]],
    ["a shape that was not defined", [0xb0]],
    ["a high shape that was not defined", [0xce, 20]],
    ["a shape whose length is wrong", [0xcc, 5, 0, 1, 0x81, 0x61, 0, 0]],
    ["a shape whose key is not text", [0xcc, 2, 0, 1, 0x05, 0]],
    ["a key twice in a shape", [0xcc, 5, 0, 2, 0x81, 0x61, 0x81, 0x61, 0, 0]],
    ["a key twice in an object", [0xcd, 2, 0x81, 0x61, 0, 0x81, 0x61, 0]],
    ["a Map's key twice", [0xd2, 2, 1, 0, 1, 0]],
    ["a Set's item twice", [0xd3, 2, 1, 1]],
    ["a typed array of a type to come", [0xd5, 99, 0]],
    ["half an element", [0xd5, 2, 1, 0]],
    ["a date beyond dates", [0xd1, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]],
    ["a date with a fraction", [0xd1, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]],
    ["129 levels of arrays", [...new Array<number>(128).fill(0xa1), 0xa0]],
    ["129 levels of Maps", [...Array.from({ length: 129 }, () => [0xd2, 1, 0]).flat(), 0]],
    ["a million levels", new Array<number>(1_000_000).fill(0xa1)],
  ])("refuses %s", (_, bytes) => {
    expect(decodeAnything(Uint8Array.from(bytes))).toBe("corrupt");
  });

  it("refuses __proto__ as a key in each form text has", () => {
    const name = [...Buffer.from("__proto__")];
    const forms = [
      [0x89, ...name],
      [0xc8, 9, ...name],
      [0xc9, 9, ...name],
      [0xca, 9, ...Buffer.from("__proto__", "utf16le")],
    ];
    for (const form of forms) {
      expect(decodeAnything(Uint8Array.from([0xcd, 1, ...form, 0xa0]))).toBe("corrupt");
      expect(decodeAnything(Uint8Array.from([0xcc, form.length + 1, 0, 1, ...form, 0xa0]))).toBe("corrupt");
    }
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  it("takes no more memory for integer keys far apart than for others", () => {
    // { "1000": 0 } by the thousand, three bytes each after the first: 12 KB each if V8 kept an array.
    const count = 5_000;
    const list = Array.from({ length: count }, () => ({ 1000: 0 }));
    const bytes = encodeValue(list);
    const before = process.memoryUsage().heapUsed;
    const value = decodeValue(bytes) as object[];
    const grown = process.memoryUsage().heapUsed - before;
    expect(value.length).toBe(count);
    expect(grown).toBeLessThan(count * 2_000);
  });
});

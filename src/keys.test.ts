import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CacheError } from "./errors.js";
import {
  Key,
  MAX_KEY_LENGTH,
  MAX_SEGMENTS,
  encodeEntityKey,
  encodeKey,
  encodeName,
  encodePrefix,
  encodeTag,
  entityKeyEncoder,
  entityPrefix,
  entityTag,
  inNamespace,
  key,
  namespacePath,
  parentTag,
  pathPrefixes,
  prefixMatches,
} from "./keys.js";
import type { KeyInput, Params, ParamValue, Scalar, ScopeInput, Segment } from "./keys.js";

// What an input means, and what a path means, each by its own reading: the encoding is injective iff they agree.

type Meaning =
  | { string: string }
  | { number: number }
  | { bigint: string }
  | { word: boolean | null }
  | { date: number }
  | { list: Meaning[] }
  | { object: [string, Meaning][] };

function meaningOf(value: ParamValue): Meaning {
  if (typeof value === "string") return { string: value };
  if (typeof value === "number") return { number: value === 0 ? 0 : value };
  if (typeof value === "bigint") return { bigint: value.toString() };
  if (typeof value === "boolean" || value === null) return { word: value };
  if (value instanceof Date) return { date: value.getTime() };
  if (Array.isArray(value)) return { list: value.map((item: ParamValue) => meaningOf(item)) };
  const names = Object.keys(value).sort((a, b) => (a < b ? -1 : 1));
  const entries: [string, Meaning][] = [];
  for (const name of names) {
    const item = (value as Params)[name];
    if (item !== undefined) entries.push([name, meaningOf(item)]);
  }
  return { object: entries };
}

function meaningOfText(text: string): Meaning {
  if (/^-?[1-9]\d*n$|^0n$/.test(text)) return { bigint: text.slice(0, -1) };
  if (text === "true" || text === "false") return { word: text === "true" };
  if (text === "null") return { word: null };
  const number = Number(text);
  if (Number.isFinite(number) && `${number}` === text) return { number };
  return { string: text };
}

/** Text params that stand together are one object, in the order of the text. */
function meaningsOfText(text: string): Meaning[] {
  const meanings: Meaning[] = [];
  let open: [string, Meaning][] | undefined;
  for (const piece of text.split(":")) {
    const at = piece.indexOf("=");
    if (at < 1) {
      meanings.push(meaningOfText(piece));
      open = undefined;
      continue;
    }
    if (open === undefined) meanings.push({ object: (open = []) });
    open.push([piece.slice(0, at), meaningOfText(piece.slice(at + 1))]);
  }
  return meanings;
}

function unescape(text: string): string {
  return text.replace(/%u([0-9A-F]{4})|%([0-9A-F]{2})/g, (_, long: string | undefined, short: string | undefined) =>
    String.fromCharCode(Number.parseInt(long ?? short ?? "", 16)),
  );
}

function decodeScalar(text: string): Meaning {
  if (text.startsWith("'")) return { string: text.slice(1) };
  if (text.startsWith("@")) return { date: Date.parse(unescape(text.slice(1))) };
  const meaning = meaningOfText(text);
  return "string" in meaning ? { string: unescape(text) } : meaning;
}

const decodeName = (text: string): string => (text === "'" ? "" : unescape(text));

function decodeValue(text: string): Meaning {
  if (!text.startsWith("(")) return decodeScalar(text);
  const inside = text.slice(1, -1);
  if (inside === "") return { list: [] };
  if (inside === "=") return { object: [] };
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  let named = false;
  for (let i = 0; i <= inside.length; i++) {
    const char = inside[i];
    if (char === "(") depth++;
    if (char === ")") depth--;
    if (depth === 0 && char === "=") named = true;
    if (depth === 0 && (char === "," || char === undefined)) {
      parts.push(inside.slice(from, i));
      from = i + 1;
    }
  }
  return named ? { object: parts.map(decodeEntry) } : { list: parts.map(decodeValue) };
}

function decodeEntry(text: string): [string, Meaning] {
  const at = text.indexOf("=");
  return [decodeName(text.slice(0, at)), decodeValue(text.slice(at + 1))];
}

function decodePath(path: string): Meaning[] {
  const pieces = path.split(":");
  const meanings: Meaning[] = [];
  for (let i = 0; i < pieces.length;) {
    if (!pieces[i]?.includes("=")) {
      meanings.push(decodeValue(pieces[i++] ?? ""));
      continue;
    }
    const entries: [string, Meaning][] = [];
    if (pieces[i] === "=") i++;
    else while (pieces[i]?.includes("=") && pieces[i] !== "=") entries.push(decodeEntry(pieces[i++] ?? ""));
    meanings.push({ object: entries });
    if (pieces[i] === "=") i++;
  }
  return meanings;
}

const HOSTILE = [
  ":=%*?[]{}(),\\ \n\0\u007f'\"@/~#!v12n-.+eé中\u2028\ufeff".split(""),
  "\u{1f600}",
  "\ud83d",
  "\ude00",
].flat();
const WORDS = [
  "",
  "true",
  "false",
  "null",
  "42",
  "-1.5",
  "1e+21",
  "1e21",
  "007",
  "-0",
  "NaN",
  "Infinity",
  "-Infinity",
  "42n",
  "-0n",
  "0n",
  "v2",
  "v12",
  "v007",
  "v",
  "v2x",
  "global",
  "'global",
  "'",
  "'42",
  "@2024-01-01T00:00:00.000Z",
  "%20",
  "%3A",
  "=",
  "a=b",
  "a=b=c",
  "=a",
  "__proto__",
  "toString",
  "user:1",
  "/a",
  "~contact",
];
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...HOSTILE), maxLength: 12 }),
  fc.constantFrom(...WORDS),
  fc.string({ unit: "binary", maxLength: 8 }),
);
const scalar: fc.Arbitrary<Scalar> = fc.oneof(
  { weight: 3, arbitrary: text },
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.bigInt(),
  fc.boolean(),
  fc.constant(null),
);
const date = fc.date({ noInvalidDate: true });
const { params } = fc.letrec<{ value: ParamValue; params: Params }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, scalar, date, fc.array(tie("value"), { maxLength: 3 }), tie("params")),
  params: fc.dictionary(text, fc.option(tie("value"), { nil: undefined }), { maxKeys: 3 }),
}));
const segment: fc.Arbitrary<Segment> = fc.oneof({ weight: 3, arbitrary: scalar }, date, {
  weight: 2,
  arbitrary: params,
});
const tuple = fc
  .array(segment, { minLength: 1, maxLength: 5 })
  .filter((segments) => !(segments.length === 1 && segments[0] === ""));
const plain = fc
  .array(text, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join(":"))
  .filter((joined) => joined !== "");
const keyInput: fc.Arbitrary<KeyInput> = fc.oneof(plain, tuple, fc.integer(), fc.bigInt());
const scope: fc.Arbitrary<ScopeInput | undefined> = fc.oneof(
  text.filter((t) => t !== ""),
  fc.integer(),
  fc.bigInt(),
  fc.array(scalar, { minLength: 1, maxLength: 3 }),
  fc.constant(undefined),
);
const name = text.filter((t) => t !== "");

const template = (strings: readonly string[]): TemplateStringsArray => Object.assign([...strings], { raw: strings });

function refusal(act: () => unknown): CacheError {
  try {
    act();
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_KEY") return error;
    throw error;
  }
  throw new Error("Expected a refusal");
}

describe("encodeKey", () => {
  it.each<[KeyInput, string]>([
    ["user:42:orders", "user:42:orders"],
    [["user", 42, "orders"], "user:42:orders"],
    [["user", "42", "orders"], "user:'42:orders"],
    [["search", { sort: "price", page: 1, query: "laptop" }], "search:page=1:query=laptop:sort=price"],
    ["search:page=1:query=laptop", "search:page=1:query=laptop"],
    ["user:123:v2", "user:123:'v2"],
    [["user", 123, "v2"], "user:123:'v2"],
    ["api=v2", "api='v2"],
    ["=a:a=b=c:==", "%3Da:a=b%3Dc:%3D%3D"],
    ["a b:é*中", "a%20b:é%2A中"],
    [42, "42"],
    [-0, "0"],
    [42n, "42n"],
    [[true, null, "true", "null", 7n, "7n"], "true:null:'true:'null:7n:'7n"],
    [["NaN", "-Infinity", "-0", "007", "1e21", 1e21], "NaN:-Infinity:-0:007:1e21:1e+21"],
    [["'42", "@", "it's", "a@b", "/x", "x/y"], "%2742:%40:it's:a@b:%2Fx:x/y"],
    [["/a", "~a", "#a", "!a", '"a', "a/~#!"], "%2Fa:%7Ea:%23a:%21a:%22a:a/~#!"],
    ["/a:~a:#a:!a", "%2Fa:%7Ea:%23a:%21a"],
    [["a", ""], "a:"],
    [["", ""], ":"],
    [["d", new Date(0)], "d:@1970-01-01T00%3A00%3A00.000Z"],
    [
      ["q", { ids: [1, "1", ""], none: [], empty: [""], deep: { a: { b: 2 } }, nothing: {} }],
      "q:deep=(a=(b=2)):empty=('):ids=(1,'1,'):none=():nothing=(=)",
    ],
    [["q", {}], "q:="],
    [["q", { a: undefined }], "q:="],
    [[{ a: 1 }, { b: 2 }], "a=1:=:b=2"],
    [[{ "": "" }], "'="],
    [["\ud83d", "\ude00", "\u{1f600}"], "%uD83D:%uDE00:\u{1f600}"],
    [key`user:${"a:b"}:orders`, "user:a%3Ab:orders"],
  ])("encodes %o as %s", (input, path) => {
    expect(encodeKey(input)).toBe(path);
  });

  it("gives each tuple a path that means that tuple and no other", () => {
    fc.assert(
      fc.property(tuple, (segments) => {
        expect(decodePath(encodeKey(segments))).toEqual(segments.map(meaningOf));
      }),
      { numRuns: 400 },
    );
  });

  it("reads plain text as text, on the short way and on the long one", () => {
    fc.assert(
      fc.property(plain, (input) => {
        expect(decodePath(encodeKey(input))).toEqual(meaningsOfText(input));
      }),
      { numRuns: 400 },
    );
  });

  it("gives text and the values it stands for one path", () => {
    const parts = fc.array(
      text.map((t) => t.replaceAll(/[:=]/g, "")),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(parts, (pieces) => {
        fc.pre(pieces.join(":") !== "");
        const values = pieces.map((piece): Segment => {
          const meaning = meaningOfText(piece);
          if ("bigint" in meaning) return BigInt(meaning.bigint);
          if ("number" in meaning) return meaning.number;
          return "word" in meaning ? meaning.word : piece;
        });
        expect(encodeKey(pieces.join(":"))).toBe(encodeKey(values));
        expect(key(template([pieces.join(":")])).path).toBe(encodeKey(values));
      }),
      { numRuns: 200 },
    );
  });

  it("keeps apart every pair of short hostile strings", () => {
    const alphabet = [":", "=", "'", "%", "/", "~", "@", "v", "1", "n", "(", ",", "\ud83d"];
    const strings = ["", ...alphabet, ...alphabet.flatMap((a) => alphabet.map((b) => a + b))];
    const paths = new Map<string, string>();
    for (const a of strings) {
      for (const b of strings) {
        const path = encodeKey([a, b]);
        expect(paths.get(path)).toBeUndefined();
        paths.set(path, `${a}|${b}`);
      }
    }
    expect(paths.size).toBe(strings.length ** 2);
  });

  it("keeps apart objects however they are cut up", () => {
    const inputs: Segment[][] = [
      [{ a: 1, b: 2 }],
      [{ a: 1 }, { b: 2 }],
      [{ a: 1 }, {}, { b: 2 }],
      [{ a: 1, b: 2 }, {}],
      [{}, { a: 1, b: 2 }],
      [{}],
      [{}, {}],
      [{}, {}, {}],
      ["=", {}],
      [{ a: 1 }, "", { b: 2 }],
      [{ a: 1 }, "=", { b: 2 }],
      [{ a: "1" }],
      [{ a: [1, 2] }],
      [{ a: { 0: 1, 1: 2 } }],
      [{ a: ["1", 2] }],
      [{ a: [] }],
      [{ a: [""] }],
      [{ a: {} }],
      [{ a: { "": "" } }],
      [{ a: "" }],
      [{ a: [[]] }],
      [{ a: ["", ""] }],
      [{ a: "()" }],
      ["a=1"],
      ["a", 1],
    ];
    expect(new Set(inputs.map((input) => encodeKey(input))).size).toBe(inputs.length);
  });

  it("does not depend on the order of an object's properties", () => {
    fc.assert(
      fc.property(params, (object) => {
        const turned = Object.fromEntries(Object.entries(object).reverse());
        expect(encodeKey(["q", turned])).toBe(encodeKey(["q", object]));
      }),
      { numRuns: 100 },
    );
  });

  it("never lets through a character that is syntax elsewhere", () => {
    fc.assert(
      fc.property(keyInput, (input) => {
        const path = encodeKey(input);
        expect(path).not.toMatch(/[{}*?[\]\\\0-\x20\x7f]/);
        expect(path).not.toMatch(/^[/~#!"]/);
        expect(path).not.toMatch(/\p{Surrogate}/u);
      }),
      { numRuns: 300 },
    );
  });

  it("leaves text alone that holds nothing to escape", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-uw-z0-9_.-]{1,9}$/), { minLength: 1, maxLength: 5 }), (pieces) => {
        expect(encodeKey(pieces.join(":"))).toBe(pieces.join(":"));
      }),
      { numRuns: 100 },
    );
  });

  it("keeps long ids apart", () => {
    const id = "x: ".repeat(3_500);
    expect(encodeKey(["user", id])).not.toBe(encodeKey(["user", `${id} `]));
    expect(decodePath(encodeKey(["user", id]))).toEqual([{ string: "user" }, { string: id }]);
  });

  it.each<[unknown, RegExp]>([
    [undefined, /the key to be a string.*got undefined/],
    [null, /got null/],
    [true, /got true/],
    [Number.NaN, /got NaN/],
    [Number.POSITIVE_INFINITY, /got Infinity/],
    [Symbol("s"), /got a symbol/],
    [{ user: 1 }, /got an object/],
    [new Date(0), /the key to be a string/],
    [{ path: "forged:v2" }, /got an object/],
    ["", /not to be empty/],
    [[], /not to be empty, got an empty array/],
    [[""], /not to be empty/],
    [["user", undefined], /segment 2 of the key.*got undefined/],
    [["user", Number.NaN], /segment 2 of the key.*got NaN/],
    [["user", () => 1], /segment 2 of the key.*got a function/],
    [["user", ["nested"]], /segment 2 of the key.*got an array/],
    [["user", new Map()], /segment 2 of the key.*got an object of class Map/],
    [["user", new Date(Number.NaN)], /segment 2 of the key.*got an invalid date/],
    [["user", Object.create(Date.prototype)], /segment 2 of the key/],
    [["user", Object.create({ a: 1 })], /segment 2 of the key/],
    [["user", key`a`], /segment 2 of the key.*got an object of class Key/],
    [["user", { [Symbol("s")]: 1 }], /segment 2 of the key.*got a symbol/],
    [Object.assign(["user"], { 2: 1 }), /segment 2 of the key.*got undefined/],
    [["q", { a: [1, undefined] }], /1 of "a" of segment 2 of the key.*got undefined/],
    [["q", { a: { b: new Set() } }], /"b" of "a" of segment 2 of the key.*got an object of class Set/],
    [["q", { a: Number.POSITIVE_INFINITY }], /"a" of segment 2 of the key.*got Infinity/],
  ])("refuses %o", (input, message) => {
    expect(refusal(() => encodeKey(input as KeyInput)).message).toMatch(message);
  });

  it("takes values eight deep, and refuses the ninth level and cycles", () => {
    const nest = (levels: number): ParamValue => (levels === 0 ? 1 : [nest(levels - 1)]);
    expect(encodeKey(["q", { a: nest(7) }])).toBe("q:a=(((((((1)))))))");
    expect(refusal(() => encodeKey(["q", { a: nest(8) }])).message).toMatch(/at most 8 deep/);
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    expect(refusal(() => encodeKey(["q", cycle as Params])).message).toMatch(/at most 8 deep/);
  });

  it("takes `__proto__` as a name like any other", () => {
    expect(encodeKey([JSON.parse('{"__proto__":1}') as Params])).toBe("__proto__=1");
  });

  it("does not ask a subclass of Date for its text", () => {
    class Forged extends Date {
      override toISOString(): string {
        return "x:v2";
      }
    }
    expect(encodeKey([new Forged(0)])).toBe("@1970-01-01T00%3A00%3A00.000Z");
  });

  it("refuses a path above the limit, and says both lengths", () => {
    expect(encodeKey("x".repeat(MAX_KEY_LENGTH))).toHaveLength(MAX_KEY_LENGTH);
    expect(refusal(() => encodeKey("x".repeat(MAX_KEY_LENGTH + 1))).message).toMatch(/at most 65536 .* got 65537/);
    expect(encodeKey("a b", 5)).toBe("a%20b");
    for (const input of ["a b", ["a b"], key`${"a b"}`])
      expect(refusal(() => encodeKey(input, 4)).message).toMatch(/at most 4 .* got 5/);
  });

  it("refuses more segments than anything that walks a path can bear", () => {
    const most = Array.from({ length: MAX_SEGMENTS }, () => "a");
    for (const last of ["a", "", "b c"]) {
      const segments = [...most.slice(1), last];
      expect(encodeKey(segments)).toBe(encodeKey(segments.join(":")));
      expect(refusal(() => encodeKey(`a:${segments.join(":")}`)).message).toMatch(/at most 256 segments, got 257/);
      expect(refusal(() => encodeKey(["a", ...segments])).message).toMatch(/at most 256 segments, got 257/);
    }
    expect(encodeKey(["llm", "a:".repeat(1_000)])).toHaveLength(4 + 4_000);
  });

  it("looks at hostile text in linear time", () => {
    const from = performance.now();
    for (const unit of ["a", "a:", "a=", "=", "v", "v1:", "'", "%", "\ud83d", "1", "a=b:"]) {
      for (const end of ["", "*", "=", "\ud83d"]) {
        const input = unit.repeat(10_000 / unit.length) + end;
        if (input.split(":").length > MAX_SEGMENTS) expect(() => encodeKey(input)).toThrow("segments");
        else expect(encodeKey([input]).length).toBeGreaterThanOrEqual(encodeKey(input).length - 1);
      }
    }
    expect(performance.now() - from).toBeLessThan(2_000);
  });
});

describe("key", () => {
  it("is the tuple of its text and values", () => {
    const piece = fc.oneof(
      fc.record({ text: text.map((t) => t.replaceAll(":", "")) }),
      fc.record({ value: segment }),
      fc.record({ name: name.map((t) => t.replaceAll(/[:=]/g, "") || "n"), named: scalar }),
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), (pieces) => {
        const strings = [""];
        const values: Segment[] = [];
        const expected: Meaning[] = [];
        let open: [string, Meaning][] | undefined;
        for (const [i, item] of pieces.entries()) {
          const colon = i === 0 ? "" : ":";
          if ("text" in item) {
            strings.push(strings.pop() + colon + item.text);
            const [meaning] = meaningsOfText(item.text);
            if (meaning !== undefined && "object" in meaning && open !== undefined) open.push(...meaning.object);
            else if (meaning !== undefined) expected.push(meaning);
            if (meaning === undefined || !("object" in meaning)) open = undefined;
            else open ??= meaning.object;
          } else if ("named" in item) {
            strings.push(`${strings.pop()}${colon}${item.name}=`, "");
            values.push(item.named);
            if (open === undefined) expected.push({ object: (open = []) });
            open.push([item.name, meaningOf(item.named)]);
          } else {
            strings.push(strings.pop() + colon, "");
            values.push(item.value);
            expected.push(meaningOf(item.value));
            open = undefined;
          }
        }
        fc.pre(!(strings.join("") === "" && values.every((value) => value === "")));
        expect(decodePath(key(template(strings), ...values).path)).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });

  it("gives what the same template gave before, value by value", () => {
    const make = (id: Segment): string => key`user:${id}:orders`.path;
    expect([make(1), make("1"), make("a:b"), make({ a: 1 }), make(2)]).toEqual([
      "user:1:orders",
      "user:'1:orders",
      "user:a%3Ab:orders",
      "user:a=1:orders",
      "user:2:orders",
    ]);
  });

  it("keeps a value inside its segment or its parameter", () => {
    expect(key`user:${"1:admin"}`.path).toBe("user:1%3Aadmin");
    expect(key`search:page=${1}:query=${"a=b:c"}`.path).toBe("search:page=1:query=a%3Db%3Ac");
    expect(key`user:${"v2"}`.path).toBe("user:'v2");
    expect(key`user:v2:*`.path).toBe("user:'v2:%2A");
  });

  it("separates an object value from the parameters around it", () => {
    expect(key`x=1:${{ y: 2 }}:z=3`.path).toBe("x=1:=:y=2:=:z=3");
    expect(key`${{ x: 1 }}:${{}}`.path).toBe("x=1:=:=");
    expect(key`${{ x: 1 }}:y=${2}`.path).toBe("x=1:=:y=2");
  });

  it.each<[string, () => Key, RegExp]>([
    ["text before it", () => key`user:v${1}`, /value 1 of the key to be a whole segment/],
    ["text after it", () => key`user:${1}x`, /value 1 of the key to be a whole segment/],
    ["another value next to it", () => key`user:${1}${2}`, /value 2 of the key to be a whole segment/],
    ["a name that is empty", () => key`user:=${1}`, /value 1 of the key/],
    ["text after the name", () => key`user:a=b${1}`, /value 1 of the key/],
    ["two names", () => key`user:a=b=${1}`, /value 1 of the key/],
    ["text after a named value", () => key`a=${1}b`, /value 1 of the key/],
    [
      "an object after a name",
      () => key`a=${{ b: 1 }}`,
      /value 1 of the key, after "=", to be a scalar or a date, got an object/,
    ],
    ["undefined in it", () => key`user:${undefined as unknown as string}`, /value 1 of the key.*got undefined/],
    ["nothing at all", () => key``, /not to be empty/],
    ["an empty value only", () => key`${""}`, /not to be empty/],
    ["an invalid escape", () => key`user:\u`, /valid escapes/],
  ])("refuses a value with %s", (_what, make, message) => {
    expect(refusal(make).message).toMatch(message);
  });

  it("makes frozen keys that read as their path", () => {
    const made = key`user:${1}`;
    expect(Object.isFrozen(made)).toBe(true);
    expect(String(made)).toBe("user:1");
    expect(made).toBeInstanceOf(Key);
  });
});

describe("encodeEntityKey", () => {
  it("writes scope, entity, id and version", () => {
    expect(encodeEntityKey("acme", "contact", 42, 2)).toBe("acme:contact:42:v2");
    expect(encodeEntityKey(undefined, "contact", "a:b", 1)).toBe("global:contact:a:b:v1");
    expect(encodeEntityKey("global", "contact", ["a:b"], 0)).toBe("'global:contact:a%3Ab:v0");
    expect(encodeEntityKey(["eu", 7, "7", ""], "contact", 1, 1)).toBe("(eu,7,'7,'):contact:1:v1");
    expect(encodeEntityKey("a:b=c", "d:e", 1, 1)).toBe("a%3Ab%3Dc:d%3Ae:1:v1");
    expect(encodeEntityKey("42", "contact", 1, 1)).toBe(encodeEntityKey(42, "contact", 1, 1));
    expect(encodeEntityKey("v2", "v3", 1, 1)).toBe("'v2:'v3:1:v1");
  });

  it("keeps every scope, entity, id and version apart", () => {
    const meaningOfScope = (value: ScopeInput | undefined): unknown => {
      if (value === undefined) return "none";
      return typeof value === "string" ? meaningOfText(value) : meaningOf(value);
    };
    const meaningOfKey = (input: KeyInput): Meaning[] => {
      if (typeof input === "string") return meaningsOfText(input);
      return (Array.isArray(input) ? input : [input as Scalar]).map(meaningOf);
    };
    fc.assert(
      fc.property(scope, name, keyInput, fc.nat(), (inScope, entity, id, version) => {
        const path = encodeEntityKey(inScope, entity, id, version);
        const [scopePiece = "", entityPiece = "", ...rest] = path.split(":");
        expect(rest.pop()).toBe(`v${version}`);
        expect(scopePiece === "global" ? "none" : decodeValue(scopePiece)).toEqual(meaningOfScope(inScope));
        expect(unescape(entityPiece.replace(/^'/, ""))).toBe(entity);
        expect(decodePath(rest.join(":"))).toEqual(meaningOfKey(id));
        expect(path.startsWith(entityPrefix(inScope, entity))).toBe(true);
        expect(entityKeyEncoder(inScope, entity, version)(id)).toBe(path);
      }),
      { numRuns: 400 },
    );
  });

  it("never equals a raw key, whatever that holds", () => {
    fc.assert(
      fc.property(keyInput, (input) => {
        expect(encodeKey(input)).not.toMatch(/(^|:)v\d+$/);
      }),
      { numRuns: 300 },
    );
    const forged = encodeEntityKey("acme", "contact", 42, 2);
    for (const input of [forged, forged.split(":"), key`${"acme"}:contact:42:v2`, key`acme:contact:42:${"v2"}`]) {
      expect(encodeKey(input)).not.toBe(forged);
    }
  });

  it.each<[string, () => string]>([
    ["an empty scope", () => encodeEntityKey("", "contact", 1, 1)],
    ["an empty scope of parts", () => encodeEntityKey([], "contact", 1, 1)],
    ["a scope that is null", () => encodeEntityKey(null as unknown as string, "contact", 1, 1)],
    ["a scope that is not finite", () => encodeEntityKey(Number.NaN, "contact", 1, 1)],
    ["a scope of dates", () => encodeEntityKey([new Date(0) as unknown as string], "contact", 1, 1)],
    ["a scope of arrays", () => encodeEntityKey([["a"] as unknown as string], "contact", 1, 1)],
    ["a scope with a hole", () => encodeEntityKey(Object.assign(["a"], { 2: "b" }), "contact", 1, 1)],
    ["an empty entity", () => encodeEntityKey("acme", "", 1, 1)],
    ["an empty id", () => encodeEntityKey("acme", "contact", "", 1)],
    ["an id that is undefined", () => encodeEntityKey("acme", "contact", undefined as unknown as string, 1)],
    ["a version with a fraction", () => encodeEntityKey("acme", "contact", 1, 1.5)],
    ["a version below 0", () => encodeEntityKey("acme", "contact", 1, -1)],
    ["a path above the limit", () => encodeEntityKey("acme", "contact", "xxxx", 1, 19)],
    ["a path above the limit by its escapes", () => encodeEntityKey("acme", "contact", "x y", 1, 20)],
  ])("refuses %s", (_what, act) => {
    expect(refusal(act).code).toBe("ERR_CACHE_KEY");
  });

  it("takes a path of exactly the limit", () => {
    expect(encodeEntityKey("acme", "contact", "xxxx", 1, 20)).toHaveLength(20);
  });
});

describe("tags", () => {
  it("belong to a scope", () => {
    expect(encodeTag("team:7")).toBe("global:team:7");
    expect(encodeTag(["team", 7], "acme")).toBe("acme:team:7");
    expect(encodeTag("b", "a:x")).not.toBe(encodeTag("x:b", "a"));
    expect(entityTag("contact")).toBe("~contact");
    expect(parentTag("acme", "project", 7)).toBe("~project:acme:7");
    expect(parentTag(undefined, "project", "a:b")).toBe("~project:global:a:b");
  });

  it("of users never equal the cache's own, nor those each other", () => {
    fc.assert(
      fc.property(scope, name, keyInput, (inScope, entity, id) => {
        expect(encodeTag(id, inScope)).toMatch(/^[^~]/);
        expect(entityTag(entity)).toMatch(/^~[^:]+$/);
        const [entityPiece, ...rest] = parentTag(inScope, entity, id).split(":");
        expect(entityPiece).toBe(entityTag(entity));
        expect(rest.join(":")).toBe(encodeTag(id, inScope));
      }),
      { numRuns: 200 },
    );
  });

  it("above the limit are refused", () => {
    const id = "x".repeat(MAX_KEY_LENGTH - 3);
    expect(refusal(() => encodeTag(id)).message).toMatch(/tag to be at most/);
    expect(refusal(() => parentTag(undefined, "e", id)).message).toMatch(/tag to be at most/);
  });
});

describe("namespaces", () => {
  it("are one segment per name", () => {
    expect(encodeName("crm/eu#1:a")).toBe("crm%2Feu%231%3Aa");
    expect(namespacePath("", "a")).toBe("/a");
    expect(namespacePath(namespacePath("", "a"), "b/c")).toBe("/a/b%2Fc");
    expect(inNamespace("", "user:1")).toBe("user:1");
    expect(inNamespace("/a", "user:1")).toBe("/a:user:1");
    for (const bad of ["", 1, undefined])
      expect(refusal(() => encodeName(bad as string)).message).toMatch(/a name to be a string/);
  });

  it("keep names, nesting and keys apart", () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 3 }), keyInput, (names, input) => {
        const namespace = names.reduce(namespacePath, "");
        const path = inNamespace(namespace, encodeKey(input));
        expect(path.startsWith("/")).toBe(names.length > 0);
        const [head = "", ...rest] = names.length > 0 ? path.split(":") : ["", path];
        expect(head.split("/").slice(1).map(unescape)).toEqual(names);
        expect(rest.join(":")).toBe(encodeKey(input));
      }),
      { numRuns: 200 },
    );
  });
});

describe("prefixes", () => {
  it("match whole segments only", () => {
    expect(prefixMatches("user:1", "user:1")).toBe(true);
    expect(prefixMatches("user:1", "user:1:x")).toBe(true);
    expect(prefixMatches("user:1", "user:12")).toBe(false);
    expect(prefixMatches("user:1:", "user:1")).toBe(false);
    expect(prefixMatches("user:1:", "user:1:x")).toBe(true);
    expect(prefixMatches("user:1:x", "user:1")).toBe(false);
    expect(prefixMatches(entityPrefix("acme", "contact"), encodeEntityKey("acme", "contact", 1, 1))).toBe(true);
    expect(prefixMatches(entityPrefix("acme", "contact"), encodeEntityKey("acme", "contacts", 1, 1))).toBe(false);
    expect(prefixMatches(entityPrefix("acme", "contact"), encodeEntityKey("acme2", "contact", 1, 1))).toBe(false);
  });

  it("match a key iff their segments are the first of the key's", () => {
    const few = fc.constantFrom("a", "b", "", "1", "a:b", "a*", "'", "v2");
    fc.assert(
      fc.property(
        fc.array(few, { minLength: 1, maxLength: 3 }),
        fc.array(few, { minLength: 1, maxLength: 5 }),
        (head, segments) => {
          fc.pre(head.at(-1) !== "" && segments.join("") !== "");
          const matches = head.every((part, i) => part === segments[i]);
          expect(prefixMatches(encodePrefix(head), encodeKey(segments))).toBe(matches);
        },
      ),
      { numRuns: 400 },
    );
  });

  it("keep the colon at the end of text, never that of an empty value", () => {
    expect(encodePrefix("user:1:")).toBe("user:1:");
    expect(encodePrefix(key`user:${1}:`)).toBe("user:1:");
    expect(encodePrefix(key`user:${""}:`)).toBe("user::");
    expect(encodePrefix(["user", 1])).toBe("user:1");
    expect(encodePrefix(7)).toBe("7");
    const none = "";
    expect(refusal(() => encodePrefix(["user", none])).message).toMatch(/last segment of the prefix not to be empty/);
    expect(refusal(() => encodePrefix(key`user:${none}`)).message).toMatch(
      /last segment of the prefix not to be empty/,
    );
    expect(refusal(() => encodePrefix("")).message).toMatch(/prefix not to be empty/);
  });

  it("of a path are exactly those that match it", () => {
    expect(pathPrefixes("a:b")).toEqual(["a", "a:", "a:b"]);
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", ":", "/"), minLength: 1, maxLength: 12 }),
        fc.nat({ max: 12 }),
        (path, longest) => {
          const all = Array.from({ length: path.length }, (_, i) => path.slice(0, i + 1)).filter((prefix) =>
            prefixMatches(prefix, path),
          );
          expect(pathPrefixes(path)).toEqual(all);
          expect(pathPrefixes(path, longest)).toEqual(all.filter((prefix) => prefix.length <= longest));
        },
      ),
      { numRuns: 400 },
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cacheGroups } from "./cache-groups.js";
import { parseCacheControl, requestDirectives } from "./cache-control.js";
import { formatHttpDate, parseFreshnessDate, parseHttpDate } from "./dates.js";
import { parseEntityTag, parseEntityTags, strongMatch, weakMatch } from "./entity-tag.js";
import { acceptsEncoding } from "./encoding.js";
import { parseAge } from "./freshness.js";
import { connectionFields } from "./hop-by-hop.js";
import { splitList, unquote } from "./lists.js";
import { parseContentRange, requestedRanges } from "./ranges.js";
import { parseDictionary, parseList, serializeItem } from "./structured-fields.js";
import { surrogateTags } from "./surrogate-tags.js";
import { responseDirectives } from "./targeted.js";
import { varyNames } from "./vary.js";

const NOW = Date.UTC(2026, 0, 1);
const SECONDS = ["maxAge", "sMaxage", "staleWhileRevalidate", "staleIfError"] as const;
/** Text such as headers hold, with the characters that parsers trip over. */
const header = fc.string({
  unit: fc.constantFrom(...'max-age=no-store,private"\\ \t;=0123456789-.*()W/:?@%GMTJan,é'.split("")),
  maxLength: 60,
});

describe("lists", () => {
  it("split at commas outside of quotes, without empty members", () => {
    expect(splitList('a, "b,c" ,, d="e\\",f"')).toEqual({ members: ["a", '"b,c"', 'd="e\\",f"'], unterminated: false });
  });

  it("hide nothing behind a quote that has no end", () => {
    expect(splitList('a="b, no-store').members).toContain("no-store");
  });

  it("are unquoted only when they are one quoted string", () => {
    expect(unquote('"a\\"b"')).toBe('a"b');
    for (const text of ["a", '"a', '"a"b', '"a" "b"']) expect(unquote(text)).toBeUndefined();
  });
});

describe("Cache-Control", () => {
  it("is read in any case, from several lines, quoted or not", () => {
    const directives = parseCacheControl(['Max-Age="60", PUBLIC', "s-maxage=5, must-revalidate"]);
    expect(directives).toMatchObject({ maxAge: 60, public: true, sMaxage: 5, mustRevalidate: true, noStore: false });
  });

  it.each([
    "max-age",
    "max-age=",
    "max-age=-1",
    "max-age=1.5",
    "max-age=+5",
    "max-age=5s",
    "max-age = 5",
    "max-age=5 6",
  ])("takes %s for 0", (text) => expect(parseCacheControl([text]).maxAge).toBe(0));

  it("takes the smaller of two times, and caps a huge one", () => {
    expect(parseCacheControl(["max-age=60, max-age=5"]).maxAge).toBe(5);
    expect(parseCacheControl(["max-age=5, max-age=60"]).maxAge).toBe(5);
    expect(parseCacheControl(["max-age=99999999999999999999"]).maxAge).toBe(2 ** 31);
  });

  it("forbids however it is said, and allows only when said exactly", () => {
    expect(parseCacheControl(["no-store=1, must-revalidate=x"])).toMatchObject({ noStore: true, mustRevalidate: true });
    expect(parseCacheControl(["public=1, immutable=yes"])).toMatchObject({ public: false, immutable: false });
  });

  it("reads which fields no-cache and private are about, and all of it where that is malformed", () => {
    expect(parseCacheControl(['no-cache="A, b"']).noCache).toEqual(["a", "b"]);
    expect(parseCacheControl(["private=set-cookie"]).private).toEqual(["set-cookie"]);
    for (const text of ["private", 'private=""', 'private="a b"', "private=", 'private="a", private']) {
      expect(parseCacheControl([text]).private).toBe("all");
    }
  });

  it("is not believed about times when a quote has no end", () => {
    expect(parseCacheControl(['max-age=60, x="a, public, no-store'])).toMatchObject({
      maxAge: 0,
      public: false,
      noStore: true,
    });
  });

  it("takes a min-fresh that is no number for more than there is", () => {
    expect(parseCacheControl(["min-fresh=x"]).minFresh).toBe(Number.POSITIVE_INFINITY);
    expect(parseCacheControl(["max-stale"]).maxStale).toBe(Number.POSITIVE_INFINITY);
    expect(parseCacheControl(["max-stale=x"]).maxStale).toBe(0);
  });

  it("takes Pragma for no-cache only where there is no Cache-Control", () => {
    expect(requestDirectives([["pragma", "No-Cache"]]).noCache).toBe("all");
    expect(
      requestDirectives([
        ["pragma", "no-cache"],
        ["cache-control", "max-age=5"],
      ]).noCache,
    ).toBeUndefined();
  });

  it("never throws, and never allows more than the same text without what is malformed", () => {
    fc.assert(
      fc.property(fc.array(header, { maxLength: 3 }), (lines) => {
        const directives = parseCacheControl(lines);
        for (const name of SECONDS) {
          const seconds = directives[name];
          expect(seconds === undefined || (Number.isInteger(seconds) && seconds >= 0 && seconds <= 2 ** 31)).toBe(true);
        }
      }),
    );
  });

  it("finds no-store wherever it stands outside of quotes", () => {
    fc.assert(
      fc.property(header, header, (before, after) => {
        const quoted = (before.match(/"/g) ?? []).length > 0;
        if (quoted) return;
        expect(parseCacheControl([`${before},no-store,${after}`]).noStore).toBe(true);
      }),
    );
  });
});

describe("HTTP dates", () => {
  it.each(["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])(
    "are read as %s",
    (text) => expect(parseHttpDate(text, NOW)).toBe(Date.UTC(1994, 10, 6, 8, 49, 37)),
  );

  it.each([
    "0",
    "-1",
    "",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 31 Feb 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "sun, 06 nov 1994 08:49:37 gmt",
    "1994-11-06T08:49:37Z",
    "Sun, 06 Nov 1994 08:49:37 GMT+1",
  ])("are not %j", (text) => expect(parseHttpDate(text, NOW)).toBeUndefined());

  it("of two-digit years lie at most 50 years ahead", () => {
    expect(new Date(parseHttpDate("Sunday, 06-Nov-76 08:49:37 GMT", NOW) ?? 0).getUTCFullYear()).toBe(2076);
    expect(new Date(parseHttpDate("Sunday, 06-Nov-77 08:49:37 GMT", NOW) ?? 0).getUTCFullYear()).toBe(1977);
  });

  it("come back as they were written, to the second", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e9 }), (seconds) => {
        expect(parseHttpDate(formatHttpDate(seconds * 1_000), NOW)).toBe(seconds * 1_000);
      }),
    );
  });
});

describe("Age", () => {
  it("is its first value, and nothing when that is no number", () => {
    expect(parseAge([["age", "5, 100"]])).toBe(5_000);
    expect(
      parseAge([
        ["age", "7"],
        ["age", "9"],
      ]),
    ).toBe(7_000);
    for (const text of ["x", "-5", "1.5", "", "5s"]) expect(parseAge([["age", text]])).toBe(0);
  });
});

describe("entity tags", () => {
  it("are strong or weak, and nothing else", () => {
    expect(parseEntityTag('W/"a"')).toEqual({ weak: true, opaque: '"a"' });
    for (const text of ["a", '"a', 'w/"a"', '"a b"', "*", '"a""b"']) expect(parseEntityTag(text)).toBeUndefined();
  });

  it("come in lists that may hold commas", () => {
    expect(parseEntityTags('"a,b", W/"c"')).toEqual([
      { weak: false, opaque: '"a,b"' },
      { weak: true, opaque: '"c"' },
    ]);
    expect(parseEntityTags("*")).toBe("*");
    for (const text of ["", "a", '"a" "b"', '"a", b']) expect(parseEntityTags(text)).toBeUndefined();
  });

  it("match strongly only when both are strong (RFC 9110 §8.8.3.2)", () => {
    const [weak, strong] = [
      { weak: true, opaque: '"1"' },
      { weak: false, opaque: '"1"' },
    ];
    expect([strongMatch(weak, weak), strongMatch(strong, weak), strongMatch(strong, strong)]).toEqual([
      false,
      false,
      true,
    ]);
    expect(weakMatch(weak, strong)).toBe(true);
  });
});

describe("structured fields", () => {
  it("read a dictionary strictly", () => {
    expect(parseDictionary('max-age=60, a, b=?0;x=1, c=(1 "2");q=:YQ==:, d="x\\"y", e=1.5')).toEqual(
      new Map<string, unknown>([
        ["max-age", { kind: "integer", value: 60 }],
        ["a", { kind: "boolean", value: true }],
        ["b", { kind: "boolean", value: false }],
        [
          "c",
          {
            kind: "inner-list",
            items: [
              { kind: "integer", value: 1 },
              { kind: "string", value: "2" },
            ],
          },
        ],
        ["d", { kind: "string", value: 'x"y' }],
        ["e", { kind: "other" }],
      ]),
    );
  });

  it.each([
    "Max-Age=60",
    "a=",
    "a,",
    "a=1.2345",
    "a b",
    "a=(1",
    'a="b',
    "a=1;",
    "a=--1",
    "a=\u00e9",
    "a=1234567890123456",
  ])("take %j for no dictionary", (text) => expect(parseDictionary(text)).toBeUndefined());

  it("tell a decimal and a date from an integer, outside of quotes", () => {
    const text = 'a=1.0, b="x=1.0", c=@1659578233, d=-1, e=5.50;q=1.0, f="\\"=1.0"';
    const kinds = Array.from(parseDictionary(text) ?? [], ([key, member]) => [key, member.kind]);
    expect(Object.fromEntries(kinds)).toEqual({
      a: "other",
      b: "string",
      c: "other",
      d: "integer",
      e: "other",
      f: "string",
    });
    expect(parseDictionary(text)?.get("f")).toEqual({ kind: "string", value: '"=1.0' });
    expect(parseDictionary("a=1.0.0")).toBeUndefined();
  });

  it("read a list strictly", () => {
    expect(parseList('"a", b;c=1, (d)')).toEqual([
      { kind: "string", value: "a" },
      { kind: "token", value: "b" },
      { kind: "inner-list", items: [{ kind: "token", value: "d" }] },
    ]);
    for (const bad of ['"a",', '"a" "b"', "'a'"]) expect(parseList(bad)).toBeUndefined();
  });

  it("write tokens bare and everything else quoted, and never what could end a line", () => {
    expect(
      serializeItem("tiercache", [
        ["hit", true],
        ["ttl", -3],
        ["detail", 'a "b"\n'],
      ]),
    ).toBe('tiercache;hit;ttl=-3;detail="a \\"b\\"?"');
  });

  it("read back what they write", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const written = serializeItem("x", [["detail", text]]);
        expect(written).not.toMatch(/[^\x20-\x7e]/);
        expect(parseDictionary(`x=1${written.slice(1)}`)).toBeDefined();
      }),
    );
  });
});

describe("targeted fields (RFC 9213)", () => {
  const fields = (value: string): [string, string][] => [
    ["cdn-cache-control", value],
    ["cache-control", "max-age=1"],
  ];

  it("count instead of Cache-Control where they are well formed", () => {
    const { directives, isTargeted } = responseDirectives(fields("max-age=60"), ["cdn-cache-control"]);
    expect([directives.maxAge, isTargeted]).toEqual([60, true]);
  });

  it.each(["", "max-age=60,", "MAX-AGE=60", "max-age=60; , x"])("are ignored as a whole when they are %j", (value) => {
    expect(responseDirectives(fields(value), ["cdn-cache-control"]).directives.maxAge).toBe(1);
  });

  it("have 0 for a time of another type", () => {
    for (const value of ['max-age="60"', "max-age=1.5", "max-age=-5", "max-age"]) {
      expect(responseDirectives(fields(value), ["cdn-cache-control"]).directives.maxAge).toBe(0);
    }
  });
});

describe("every parser", () => {
  it("takes any text without throwing", () => {
    fc.assert(
      fc.property(fc.oneof(header, fc.string(), fc.string({ unit: "binary" })), (text) => {
        parseCacheControl([text]);
        parseHttpDate(text, NOW);
        parseEntityTags(text);
        parseEntityTag(text);
        parseDictionary(text);
        requestedRanges(text, 100);
        parseContentRange(text);
        varyNames([["vary", text]]);
        surrogateTags([
          ["surrogate-key", text],
          ["cache-tag", text],
        ]);
        connectionFields([["connection", text]]);
        parseFreshnessDate(text, NOW);
        parseList(text);
        cacheGroups([["cache-groups", text]], "cache-groups");
        acceptsEncoding([["content-encoding", "gzip"]], [["accept-encoding", text]]);
        responseDirectives([["cdn-cache-control", text]], ["cdn-cache-control"]);
        expect(parseAge([["age", text]])).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([" ", "\t ", '"', "\\", ",", '",', "a=(", "=1.5", "=@1", '\\"', "-", "0-", "a;"])(
    "takes a megabyte of %j, in time that grows with its length alone",
    (unit) => {
      // By its square it would not end before the test is given up.
      const text = unit.repeat(1_048_576 / unit.length);
      parseCacheControl([text]);
      parseEntityTags(text);
      parseDictionary(text);
      parseDictionary(`a="${text}`);
      parseList(text);
      parseContentRange(text);
      parseFreshnessDate(text, NOW);
      parseEntityTag(text);
      acceptsEncoding([["content-encoding", "gzip"]], [["accept-encoding", text]]);
      requestedRanges(text, 100);
      requestedRanges(`bytes=${text}`, 100);
      expect(varyNames([["vary", text]])).toBeDefined();
    },
  );
});

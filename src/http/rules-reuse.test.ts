import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cc, date, NOW, PRIVATE, response, SHARED } from "../../test/support/http-rules.js";
import { parseCacheControl } from "./cache-control.js";
import type { Fields } from "./fields.js";
import { invalidatedUrls } from "./invalidation.js";
import { allowsRange, isNotModified } from "./preconditions.js";
import { parseContentRange, requestedRanges } from "./ranges.js";
import { reuseOf, servesOnError } from "./reuse.js";
import { confirms, headConfirms, updatedFields, validatingFields } from "./validation.js";
import { varyKey, varyMatches, varyNames } from "./vary.js";

describe("reuse (RFC 9111 §4, §5.2.1)", () => {
  const reuse = (fields: string, asked: string, seconds: number, kind = PRIVATE, outdated = false) =>
    reuseOf(response(cc(fields)), parseCacheControl([asked]), NOW + seconds * 1_000, kind, outdated).verdict;

  it.each([
    ["max-age=60", "", 59, "serve"],
    ["max-age=60", "", 60, "validate"],
    ["max-age=60", "no-cache", 1, "validate"],
    ["max-age=60, no-cache", "", 1, "validate"],
    ["max-age=60, no-cache", "max-stale", 1, "validate"],
    ["max-age=60", "max-age=10", 10, "serve"],
    ["max-age=60", "max-age=10", 11, "validate"],
    ["max-age=60", "max-age=0", 1, "validate"],
    ["max-age=60", "min-fresh=10", 50, "serve"],
    ["max-age=60", "min-fresh=10", 51, "validate"],
    ["max-age=60", "max-stale=10", 70, "serve"],
    ["max-age=60", "max-stale=10", 71, "validate"],
    ["max-age=60", "max-stale", 9_999, "serve"],
    ["max-age=60, must-revalidate", "max-stale", 61, "validate"],
    ["max-age=60, stale-while-revalidate=10", "", 70, "serve-and-revalidate"],
    ["max-age=60, stale-while-revalidate=10", "", 71, "validate"],
    ["max-age=60, stale-while-revalidate=10, must-revalidate", "", 61, "validate"],
    ["max-age=60, stale-while-revalidate=10", "max-age=5", 61, "validate"],
    ["max-age=60, stale-while-revalidate=10", "min-fresh=1", 61, "validate"],
  ])("of %j for %j at %i s is %s", (stored, asked, seconds, verdict) => {
    expect(reuse(stored, asked, seconds)).toBe(verdict);
  });

  it("of a shared cache heeds proxy-revalidate and s-maxage, a private one does not", () => {
    for (const directive of ["proxy-revalidate", "s-maxage=60"]) {
      expect(reuse(`max-age=60, ${directive}`, "max-stale", 61, SHARED)).toBe("validate");
      expect(reuse(`max-age=60, ${directive}`, "max-stale", 61)).toBe("serve");
    }
  });

  it("of what was purged softly is that of what has just become stale", () => {
    expect(reuse("max-age=60", "", 1, PRIVATE, true)).toBe("validate");
    expect(reuse("max-age=60, stale-while-revalidate=5", "", 1, PRIVATE, true)).toBe("serve-and-revalidate");
  });

  it("when the origin fails goes by stale-if-error, and by default when it is not reached", () => {
    const on = (fields: string, seconds: number, failure: "disconnected" | "status", asked = "") =>
      servesOnError(response(cc(fields)), parseCacheControl([asked]), NOW + seconds * 1_000, PRIVATE, failure);
    expect(on("max-age=60", 61, "disconnected")).toBe(true);
    expect(on("max-age=60", 61, "status")).toBe(false);
    expect(on("max-age=60", 61, "status", "stale-if-error=5")).toBe(true);
    expect(on("max-age=60, stale-if-error=10", 70, "status")).toBe(true);
    expect(on("max-age=60, stale-if-error=10", 71, "disconnected")).toBe(false);
    expect(on("max-age=60, must-revalidate, stale-if-error=10", 61, "disconnected")).toBe(false);
    expect(on("max-age=60", 61, "disconnected", "no-cache")).toBe(false);
  });
});

describe("Vary (RFC 9111 §4.1)", () => {
  it("names fields in any order and case", () => {
    expect(
      varyNames([
        ["vary", "B, a"],
        ["vary", "A"],
      ]),
    ).toEqual(["a", "b"]);
  });

  it("matches what means the same", () => {
    const same = (name: string, a: string, b: string): boolean => varyMatches([name], [[name, a]], [[name, b]]);
    expect(same("accept-encoding", "gzip, br", "BR ,gzip;q=1.0")).toBe(true);
    expect(same("accept-language", "de;q=0.5, en", "en,  de; q=0.5")).toBe(true);
    expect(same("accept-encoding", "gzip", "br")).toBe(false);
    expect(same("foo", "a,b", "a , b")).toBe(true);
    expect(same("foo", "a,b", "b,a")).toBe(false);
    expect(same("foo", "A", "a")).toBe(false);
  });

  it("tells a field that is absent from an empty one, and one value from two fields", () => {
    expect(varyMatches(["a"], [], [["a", ""]])).toBe(false);
    expect(varyKey(["a", "b"], [["a", "x"]])).not.toBe(varyKey(["a", "b"], [["b", "x"]]));
    expect(varyKey(["a", "b"], [["a", 'x","y']])).not.toBe(
      varyKey(
        ["a", "b"],
        [
          ["a", "x"],
          ["b", "y"],
        ],
      ),
    );
  });
});

describe("validation (RFC 9111 §4.3)", () => {
  it("asks by the stored validators, and by nothing of the client's", () => {
    const request: Fields = [
      ["if-none-match", '"client"'],
      ["range", "bytes=0-1"],
      ["accept", "x"],
    ];
    expect(
      validatingFields(request, [
        ["etag", 'W/"a"'],
        ["last-modified", date(-9)],
      ]),
    ).toEqual([
      ["accept", "x"],
      ["if-none-match", 'W/"a"'],
      ["if-modified-since", date(-9)],
    ]);
    expect(
      validatingFields(request, [
        ["etag", "a b"],
        ["last-modified", "x"],
      ]),
    ).toEqual([["accept", "x"]]);
    // No tag, but what the origin will compare with its own.
    expect(validatingFields(request, [["etag", "a"]])).toContainEqual(["if-none-match", "a"]);
    expect([confirms([["etag", "a"]], [["etag", "a"]]), confirms([["etag", "a"]], [["etag", "b"]])]).toEqual([
      true,
      false,
    ]);
  });

  it("takes a 304 for what it names", () => {
    expect(confirms([["etag", '"a"']], [["etag", '"a"']])).toBe(true);
    expect(confirms([["etag", '"b"']], [["etag", '"a"']])).toBe(false);
    expect(confirms([["etag", 'W/"a"']], [["etag", '"a"']])).toBe(true);
    expect(confirms([["etag", '"a"']], [])).toBe(false);
    expect(confirms([["last-modified", date(0)]], [["last-modified", date(-1)]])).toBe(false);
    expect(confirms([], [["etag", '"a"']])).toBe(true);
  });

  it("updates what is stored, but for what is of its body or its connection (§3.2)", () => {
    const stored: Fields = [
      ["etag", '"a"'],
      ["content-length", "5"],
      ["content-encoding", "gzip"],
      ["age", "9"],
      ["x", "1"],
    ];
    const newer: Fields = [
      ["x", "2"],
      ["y", "3"],
      ["content-length", "0"],
      ["content-encoding", "br"],
      ["content-range", "bytes 0-1/2"],
      ["connection", "z"],
      ["z", "1"],
      ["set-cookie", "a=b"],
    ];
    expect(Object.fromEntries(updatedFields(stored, newer, PRIVATE))).toEqual({
      etag: '"a"',
      "content-length": "5",
      "content-encoding": "gzip",
      x: "2",
      y: "3",
    });
  });

  it("freshens by HEAD what has the same validators and length (§4.3.5)", () => {
    const stored: Fields = [
      ["etag", '"a"'],
      ["content-length", "5"],
    ];
    expect(
      headConfirms(
        [
          ["etag", '"a"'],
          ["content-length", "5"],
        ],
        stored,
      ),
    ).toBe(true);
    expect(headConfirms([["content-length", "6"]], stored)).toBe(false);
    expect(headConfirms([["etag", '"b"']], stored)).toBe(false);
  });
});

describe("a client's conditions (RFC 9110 §13)", () => {
  const stored = {
    fields: [
      ["etag", '"a"'],
      ["last-modified", date(-60)],
      ["date", date(0)],
    ] as Fields,
    responseTime: NOW,
  };

  it("are judged by weak comparison, entity tags before dates", () => {
    expect(isNotModified([["if-none-match", 'W/"a", "b"']], stored)).toBe(true);
    expect(isNotModified([["if-none-match", "*"]], stored)).toBe(true);
    expect(
      isNotModified(
        [
          ["if-none-match", '"b"'],
          ["if-modified-since", date(0)],
        ],
        stored,
      ),
    ).toBe(false);
    expect(isNotModified([["if-none-match", "broken"]], stored)).toBe(false);
  });

  it("by date hold from when it was modified", () => {
    expect(isNotModified([["if-modified-since", date(-60)]], stored)).toBe(true);
    expect(isNotModified([["if-modified-since", date(-61)]], stored)).toBe(false);
    expect(isNotModified([["if-modified-since", "x"]], stored)).toBe(false);
  });

  it("allow a range only of the very same bytes", () => {
    expect(allowsRange([], stored)).toBe(true);
    expect(allowsRange([["if-range", '"a"']], stored)).toBe(true);
    expect(allowsRange([["if-range", 'W/"a"']], stored)).toBe(false);
    expect(allowsRange([["if-range", date(-60)]], stored)).toBe(true);
    expect(allowsRange([["if-range", date(-50)]], stored)).toBe(false);
    expect(allowsRange([["if-range", "x"]], stored)).toBe(false);
  });
});

describe("ranges (RFC 9110 §14)", () => {
  it.each([
    ["bytes=0-4", { first: 0, last: 4 }],
    ["bytes=5-", { first: 5, last: 9 }],
    ["bytes=-3", { first: 7, last: 9 }],
    ["bytes=-99", { first: 0, last: 9 }],
    ["BYTES=8-99", { first: 8, last: 9 }],
  ])("of ten bytes are for %s", (text, range) =>
    expect(requestedRanges(text, 10)).toEqual({ kind: "parts", ranges: [range] }),
  );

  it("are unsatisfiable past the end, and ignored when malformed or too many", () => {
    expect(requestedRanges("bytes=10-", 10).kind).toBe("unsatisfiable");
    expect(requestedRanges("bytes=10-,-0", 10).kind).toBe("unsatisfiable");
    const many = `bytes=${Array.from({ length: 17 }, (_, n) => `${n * 2}-${n * 2}`).join(",")}`;
    for (const text of ["bytes=4-2", "items=0-1", "bytes=a-b", "bytes=-", "bytes=", "bytes=,", "bytes=0-1,x", many]) {
      expect(requestedRanges(text, 100).kind).toBe("whole");
    }
  });

  it("may be several: those past the end are left out, those that overlap are one, and all of it is the whole", () => {
    const parts = (text: string): readonly (readonly number[])[] | string => {
      const asked = requestedRanges(text, 10);
      return asked.kind === "parts" ? asked.ranges.map(({ first, last }) => [first, last]) : asked.kind;
    };
    expect(parts("bytes=5-6, 0-1")).toEqual([
      [5, 6],
      [0, 1],
    ]);
    expect(parts("bytes=0-1,20-30")).toEqual([[0, 1]]);
    expect(parts("bytes=4-7,0-1,6-8")).toEqual([
      [0, 1],
      [4, 8],
    ]);
    expect(parts("bytes=0-4,5-9")).toEqual([[0, 9]]);
    expect(parts("bytes=0-4,6-9")).toEqual([
      [0, 4],
      [6, 9],
    ]);
  });

  it("lie within the representation and never overlap, whatever is asked", () => {
    const specifier = fc.oneof(
      fc.tuple(fc.nat(30), fc.nat(30)).map(([first, last]) => `${first}-${last}`),
      fc.nat(30).map((first) => `${first}-`),
      fc.nat(30).map((suffix) => `-${suffix}`),
    );
    fc.assert(
      fc.property(fc.array(specifier, { minLength: 1, maxLength: 16 }), fc.nat(20), (specifiers, length) => {
        const asked = requestedRanges(`bytes=${specifiers.join(",")}`, length);
        if (asked.kind !== "parts") return;
        const seen = new Set<number>();
        for (const { first, last } of asked.ranges) {
          for (let at = first; at <= last; at++) {
            expect(seen.has(at) || at >= length).toBe(false);
            seen.add(at);
          }
        }
        expect(seen.size).toBeGreaterThan(0);
      }),
    );
  });

  it("are told by Content-Range, when it says all three numbers", () => {
    expect(parseContentRange("bytes 2-4/10")).toEqual({ first: 2, last: 4, length: 10 });
    for (const text of [
      "bytes 2-4/*",
      "bytes */10",
      "bytes 4-2/10",
      "bytes 2-10/10",
      "items 2-4/10",
      "bytes=2-4/10",
      "",
    ]) {
      expect(parseContentRange(text)).toBeUndefined();
    }
  });
});

describe("invalidation (RFC 9111 §4.4)", () => {
  const urls = (method: string, status: number, fields: Fields = []) =>
    invalidatedUrls(method, "http://a.example/x?y=1", status, fields);

  it("is by unsafe methods, known or not, that did not fail", () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "FROB"]) {
      expect(urls(method, 200)).toEqual(["http://a.example/x?y=1"]);
      expect(urls(method, 303)).toHaveLength(1);
      expect(urls(method, 404)).toEqual([]);
      expect(urls(method, 500)).toEqual([]);
    }
    for (const method of ["GET", "HEAD", "OPTIONS", "TRACE"]) expect(urls(method, 200)).toEqual([]);
  });

  it("reaches Location and Content-Location of the same origin only", () => {
    expect(
      urls("POST", 201, [
        ["location", "/new"],
        ["content-location", "z"],
      ]),
    ).toEqual(["http://a.example/x?y=1", "http://a.example/new", "http://a.example/z"]);
    for (const other of ["http://b.example/", "https://a.example/", "http://a.example:81/", "http://["]) {
      expect(urls("POST", 201, [["location", other]])).toHaveLength(1);
    }
  });
});

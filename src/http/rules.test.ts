import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cc, date, NOW, PRIVATE, response, SHARED } from "../../test/support/http-rules.js";
import type { Fields } from "./fields.js";
import { correctedInitialAge, currentAge, freshnessLifetime } from "./freshness.js";
import { endToEnd } from "./hop-by-hop.js";
import { storedFields, whyUnstorable } from "./storable.js";

describe("what is stored (RFC 9111 §3)", () => {
  const get = { method: "GET", fields: [] };
  const why = (fields: Fields, kind = PRIVATE, status = 200, request: { method: string; fields: Fields } = get) =>
    whyUnstorable(request, response(fields, status), kind);

  it.each([200, 203, 204, 299, 301, 302, 404, 410, 418, 499, 500, 503, 599])(
    "is %i with explicit freshness",
    (status) => {
      expect(why(cc("max-age=60"), SHARED, status)).toBeUndefined();
    },
  );

  it("is no partial response, no 304, and nothing to another method", () => {
    expect(why(cc("max-age=60"), PRIVATE, 206)).toBe("partial");
    expect(why(cc("max-age=60"), PRIVATE, 304)).toBe("status");
    expect(why(cc("max-age=60"), PRIVATE, 200, { method: "POST", fields: [] })).toBe("method");
    expect(why(cc("max-age=60"), PRIVATE, 200, { method: "HEAD", fields: [] })).toBe("method");
  });

  it("is nothing with neither freshness nor a validator", () => {
    expect(why([])).toBe("no-freshness");
    expect(why(cc("no-cache"))).toBe("no-freshness");
    expect(why([...cc("no-cache"), ["etag", '"a"']])).toBeUndefined();
    expect(why([["etag", "a b"]])).toBe("no-freshness");
    expect(why(cc("max-age=0"))).toBe("no-freshness");
    expect(why(cc("max-age=0, stale-while-revalidate=5"))).toBeUndefined();
  });

  it("is of other statuses only what says that it is fresh", () => {
    expect(why([["last-modified", date(-1_000)]], PRIVATE, 404)).toBeUndefined();
    expect(why([["last-modified", date(-1_000)]], PRIVATE, 201)).toBe("not-cacheable");
    expect(why([...cc("public"), ["last-modified", date(-1_000)]], PRIVATE, 201)).toBeUndefined();
  });

  it("is nothing that says no-store, on either side", () => {
    expect(why(cc("no-store, max-age=60"))).toBe("no-store");
    expect(why(cc("max-age=60"), PRIVATE, 200, { method: "GET", fields: cc("no-store") })).toBe("request-no-store");
  });

  it("is what must be understood, in spite of no-store, where the status is known", () => {
    expect(why(cc("no-store, must-understand, max-age=60"))).toBeUndefined();
    expect(why(cc("no-store, must-understand, max-age=60"), PRIVATE, 299)).toBe("status");
  });

  it("is no 416 to a range, which is the answer to that range alone", () => {
    const ranged = { method: "GET", fields: [["range", "bytes=9-"]] as Fields };
    expect(why(cc("max-age=60"), SHARED, 416, ranged)).toBe("status");
    expect(why(cc("max-age=60"), SHARED, 416)).toBeUndefined();
    expect(why(cc("max-age=60"), SHARED, 404, ranged)).toBeUndefined();
  });

  it("is private only in a private cache; without the fields that are, in a shared one", () => {
    expect(why(cc("private, max-age=60"))).toBeUndefined();
    expect(why(cc("private, max-age=60"), SHARED)).toBe("private");
    const fields: Fields = [...cc('private="x-user", max-age=60'), ["x-user", "7"], ["x-other", "1"]];
    expect(why(fields, SHARED)).toBeUndefined();
    expect(storedFields(fields, SHARED).map(([name]) => name)).toEqual(["cache-control", "x-other"]);
    expect(storedFields(fields, PRIVATE)).toEqual(fields);
  });

  it("is asked for with Authorization only where a shared cache is allowed to (§3.5)", () => {
    const request = { method: "GET", fields: [["authorization", "x"]] as Fields };
    expect(why(cc("max-age=60"), SHARED, 200, request)).toBe("authorization");
    for (const directive of ["public", "must-revalidate", "s-maxage=5"]) {
      expect(why(cc(`max-age=60, ${directive}`), SHARED, 200, request)).toBeUndefined();
    }
    expect(why(cc("max-age=60, proxy-revalidate"), SHARED, 200, request)).toBe("authorization");
  });

  it("sets no cookies: not stored when shared, stored without when private", () => {
    const fields: Fields = [...cc("max-age=60"), ["set-cookie", "a=b"]];
    expect(why(fields, SHARED)).toBe("set-cookie");
    expect(why(fields, { ...SHARED, setCookie: true })).toBeUndefined();
    expect(why(fields)).toBeUndefined();
    expect(storedFields(fields, PRIVATE)).toEqual(cc("max-age=60"));
  });

  it("matches other requests: Vary: * and a malformed Vary do not", () => {
    expect(why([...cc("max-age=60"), ["vary", "a, *"]])).toBe("vary");
    expect(why([...cc("max-age=60"), ["vary", "a b"]])).toBe("vary");
  });

  it("has no hop-by-hop fields, none that Connection names, and none that no-cache names", () => {
    const fields: Fields = [
      ...cc('max-age=60, no-cache="x-secret"'),
      ["connection", "X-Hop, close"],
      ["x-hop", "1"],
      ["x-secret", "1"],
      ["transfer-encoding", "chunked"],
      ["x-kept", "1"],
    ];
    expect(storedFields(fields, PRIVATE).map(([name]) => name)).toEqual(["cache-control", "x-kept"]);
    expect(endToEnd(fields).map(([name]) => name)).toEqual(["cache-control", "x-secret", "x-kept"]);
  });

  it("is, whatever the header, fresh only for as long as some number in it says", () => {
    const text = fc.string({ unit: fc.constantFrom(...'max-age=s0123456789," \t;public'.split("")), maxLength: 40 });
    fc.assert(
      fc.property(text, (value) => {
        const largest = Math.max(0, ...(value.match(/\d+/g) ?? []).map(Number));
        expect(freshnessLifetime(response(cc(value)), PRIVATE)).toBeLessThanOrEqual(largest * 1_000);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("freshness (RFC 9111 §4.2.1)", () => {
  const lifetime = (fields: Fields, kind = PRIVATE): number => freshnessLifetime(response(fields), kind) / 1_000;

  it("is s-maxage when shared, then max-age, then Expires", () => {
    const fields: Fields = [...cc("max-age=60, s-maxage=5"), ["expires", date(100)], ["date", date(0)]];
    expect([lifetime(fields, SHARED), lifetime(fields)]).toEqual([5, 60]);
    expect(
      lifetime([
        ["expires", date(100)],
        ["date", date(0)],
      ]),
    ).toBe(100);
    expect(
      lifetime([
        ["expires", date(100)],
        ["date", date(40)],
      ]),
    ).toBe(60);
  });

  it("is 0 with an Expires that is no date, whatever Last-Modified says", () => {
    for (const value of ["0", "x", "", "Thu, 01 Jan 2026 00:00:00"]) {
      expect(
        lifetime([
          ["expires", value],
          ["last-modified", date(-10_000)],
        ]),
      ).toBe(0);
    }
  });

  it("takes the first of several Expires, joined or not", () => {
    expect(
      lifetime([
        ["expires", `${date(100)}, ${date(900)}`],
        ["date", date(0)],
      ]),
    ).toBe(100);
    expect(
      lifetime([
        ["expires", date(100)],
        ["expires", date(900)],
        ["date", date(0)],
      ]),
    ).toBe(100);
  });

  it("is a tenth of the time since it was modified, a day at most", () => {
    expect(lifetime([["last-modified", date(-1_000)]])).toBe(100);
    expect(lifetime([["last-modified", date(-1e9)]])).toBe(86_400);
    expect(lifetime([["last-modified", date(1_000)]])).toBe(0);
  });

  it("is reckoned of a status of any kind that may be stored for being public, or private in a private cache", () => {
    const modified: Fields = [["last-modified", date(-1_000)]];
    expect(freshnessLifetime(response([...cc("public"), ...modified], 299), SHARED)).toBe(100_000);
    expect(freshnessLifetime(response([...cc("private"), ...modified], 299), PRIVATE)).toBe(100_000);
    expect(freshnessLifetime(response([...cc("private"), ...modified], 299), SHARED)).toBe(0);
    expect(freshnessLifetime(response(modified, 299), PRIVATE)).toBe(0);
  });

  it("does not count Expires beside a targeted field", () => {
    expect(
      lifetime(
        [
          ["cdn-cache-control", "public"],
          ["expires", date(100)],
        ],
        SHARED,
      ),
    ).toBe(0);
  });
});

describe("age (RFC 9111 §4.2.3)", () => {
  it("is the larger of what Date and Age make of it, the time under way included", () => {
    const timed = {
      status: 200,
      fields: [
        ["date", date(-30)],
        ["age", "10"],
      ] as Fields,
      requestTime: NOW - 2_000,
      responseTime: NOW,
    };
    expect(correctedInitialAge(timed)).toBe(30_000);
    expect(
      correctedInitialAge({
        ...timed,
        fields: [
          ["date", date(-5)],
          ["age", "10"],
        ],
      }),
    ).toBe(12_000);
    expect(currentAge(timed, NOW + 5_000)).toBe(35_000);
  });

  it("does not become less when a clock is set back", () => {
    expect(currentAge(response([["age", "10"]]), NOW - 60_000)).toBe(10_000);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCacheControl } from "../cache-control.js";
import { parseEntityTag } from "../entity-tag.js";
import { responseDirectives } from "../targeted.js";
import { varyNames } from "../vary.js";
import { cacheControl, cdnCacheControl, surrogateControl, vary, type ApiCaching } from "./build-cache-control.js";
import { conditional, type CurrentState } from "./conditional.js";
import { EntityTagDigest, entityTagOf, entityTagOfStream, versionTag } from "./make-entity-tag.js";

describe("cacheControl", () => {
  it("says what the usual answers need", () => {
    expect(cacheControl.immutable()).toBe("public, max-age=31536000, immutable");
    expect(cacheControl.api({ maxAge: "1m", staleWhileRevalidate: "5m" })).toBe(
      "public, max-age=60, stale-while-revalidate=300",
    );
    expect(cacheControl.api({ maxAge: "1m", sMaxAge: "1h", staleIfError: "1d" })).toBe(
      "public, max-age=60, s-maxage=3600, stale-if-error=86400",
    );
    expect(cacheControl.private()).toBe("private, max-age=0, must-revalidate");
    expect(cacheControl.noStore()).toBe("no-store");
    expect(cacheControl.revalidate()).toBe("no-cache");
    expect(cacheControl.revalidate({ private: true })).toBe("private, no-cache");
  });

  it("is read back as it was said, by Cache-Control and by a targeted field", () => {
    const seconds = fc.option(fc.integer({ min: 0, max: 10 ** 7 }), { nil: undefined });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 7 }), seconds, seconds, (maxAge, swr, sie) => {
        const ms = (value: number | undefined) => (value === undefined ? undefined : value * 1_000);
        const options = { maxAge: maxAge * 1_000, staleWhileRevalidate: ms(swr), staleIfError: ms(sie) };
        const expected = { maxAge, staleWhileRevalidate: swr, staleIfError: sie };
        expect(parseCacheControl([cacheControl.api(options)])).toMatchObject({ ...expected, public: true });
        const targeted = responseDirectives([["cdn-cache-control", cdnCacheControl(options)]], ["cdn-cache-control"]);
        expect(targeted).toMatchObject({ isTargeted: true, directives: expected });
        expect(surrogateControl(options)).toBe(cdnCacheControl(options));
      }),
    );
    expect(cdnCacheControl("no-store")).toBe("no-store");
  });

  it("refuses times that are not whole seconds, and what contradicts itself", () => {
    expect(() => cacheControl.api({ maxAge: 60 })).toThrow(
      'Expected `maxAge` to be whole seconds, as in "5m" or 300_000, got `60`',
    );
    expect(() => cacheControl.api({ maxAge: "1.5s" })).toThrow("whole seconds");
    expect(() => cacheControl.api({ maxAge: "1m", private: true, sMaxAge: "1h" })).toThrow("`sMaxAge` to be absent");
    expect(() => cacheControl.api({ maxAge: "1m", mustRevalidate: true, staleIfError: "1h" })).toThrow(
      "`mustRevalidate`",
    );
    expect(() => cacheControl.api({ maxAge: "1m", swr: "1h" } as ApiCaching)).toThrow("api option");
  });
});

describe("vary", () => {
  it("names each field once, with what is there already", () => {
    expect(vary("Accept-Encoding", "accept-language, ACCEPT-ENCODING", undefined, ["x-a"])).toBe(
      "accept-encoding, accept-language, x-a",
    );
    expect(vary("a", "*")).toBe("*");
    expect(varyNames([["vary", vary("b", "a")]])).toEqual(["a", "b"]);
    expect(() => vary("a b")).toThrow("names of request fields");
    expect(() => vary("a\r\nset-cookie: x")).toThrow("names of request fields");
  });
});

describe("entity tags", () => {
  it("are of the bytes, however they come", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.uint8Array(), fc.nat(), async (a, b, cut) => {
        const tag = entityTagOf(a);
        expect(parseEntityTag(tag)).toEqual({ weak: false, opaque: tag });
        expect(entityTagOf(b) === tag).toBe(Buffer.compare(a, b) === 0);
        const at = cut % (a.length + 1);
        async function* pieces() {
          yield a.slice(0, at);
          yield a.slice(at);
        }
        expect(await entityTagOfStream(pieces())).toBe(tag);
        expect(new EntityTagDigest().update(a.slice(0, at)).update(a.slice(at)).tag()).toBe(tag);
      }),
    );
  });

  it("are of versions: weak unless said otherwise, different for different ones", () => {
    expect(versionTag(17)).toBe('W/"17"');
    expect(versionTag(["contact", 7, 17], { strong: true })).toBe('"contact.7.17"');
    expect(versionTag(new Date(5))).toBe('W/"5"');
    expect(versionTag(2n ** 70n)).toBe('W/"1180591620717411303424"');
    const parts = fc.array(fc.string({ minLength: 1, unit: "binary" }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const [x, y] = [versionTag(a), versionTag(b)];
        expect(parseEntityTag(x)).toEqual({ weak: true, opaque: x.slice(2) });
        // JSON would fold lone surrogates differently from the digest's text; both see the same text here.
        expect(x === y).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
    for (const wrong of [[], "", Number.NaN, new Date(Number.NaN), null]) {
      expect(() => versionTag(wrong as string)).toThrow("Expected `version` to be");
    }
  });
});

const AT = new Date("2026-03-01T10:00:00.700Z");
const SAME = "Sun, 01 Mar 2026 10:00:00 GMT";
const BEFORE = "Sun, 01 Mar 2026 09:59:59 GMT";

function judged(method: string, headers: Record<string, string>, state: CurrentState): string {
  const result = conditional({ method, headers }, state);
  return result.status === undefined ? result.verdict : String(result.status);
}

describe("conditional", () => {
  const strong: CurrentState = { etag: '"a"', lastModified: AT };
  const weak: CurrentState = { etag: 'W/"a"', lastModified: AT };

  it("answers 304 to a reader who has it, by tag before date (RFC 9110 §13.2.2)", () => {
    for (const method of ["GET", "HEAD", "get"]) {
      expect(judged(method, { "if-none-match": '"b", W/"a"' }, strong)).toBe("304");
      expect(judged(method, { "if-none-match": '"a"' }, weak)).toBe("304");
      expect(judged(method, { "if-none-match": '"b"', "if-modified-since": SAME }, strong)).toBe("proceed");
      expect(judged(method, { "if-modified-since": SAME }, strong)).toBe("304");
      expect(judged(method, { "if-modified-since": BEFORE }, strong)).toBe("proceed");
      expect(judged(method, { "if-none-match": "*" }, strong)).toBe("304");
      expect(judged(method, { "if-none-match": "*" }, { exists: false })).toBe("proceed");
    }
    expect(judged("GET", {}, strong)).toBe("proceed");
    expect(judged("GET", { "if-none-match": '"a"' }, {})).toBe("proceed");
    expect(judged("GET", { "if-none-match": "a" }, strong)).toBe("proceed");
    expect(judged("GET", { "if-modified-since": "yesterday" }, strong)).toBe("proceed");
  });

  it("lets nobody change what they have not seen (§13.1.1, §13.1.4)", () => {
    for (const method of ["PUT", "PATCH", "DELETE", "POST"]) {
      expect(judged(method, { "if-match": '"a"' }, strong)).toBe("proceed");
      expect(judged(method, { "if-match": '"x", "a"' }, strong)).toBe("proceed");
      expect(judged(method, { "if-match": '"b"' }, strong)).toBe("412");
      expect(judged(method, { "if-match": 'W/"a"' }, weak)).toBe("412");
      expect(judged(method, { "if-match": "*" }, strong)).toBe("proceed");
      expect(judged(method, { "if-match": "*" }, { exists: false })).toBe("412");
      expect(judged(method, { "if-match": "garbage" }, strong)).toBe("412");
      expect(judged(method, { "if-unmodified-since": SAME }, strong)).toBe("proceed");
      expect(judged(method, { "if-unmodified-since": BEFORE }, strong)).toBe("412");
      expect(judged(method, { "if-unmodified-since": SAME }, { etag: '"a"' })).toBe("412");
      // If-Match counts before the date.
      expect(judged(method, { "if-match": '"a"', "if-unmodified-since": BEFORE }, strong)).toBe("proceed");
      // Nothing there yet: create it, or say that somebody has.
      expect(judged(method, { "if-none-match": "*" }, { exists: false })).toBe("proceed");
      expect(judged(method, { "if-none-match": "*" }, strong)).toBe("412");
      // Dates of readers are not for writers.
      expect(judged(method, { "if-modified-since": SAME }, strong)).toBe("proceed");
    }
    expect(judged("GET", { "if-match": '"b"' }, strong)).toBe("412");
  });

  it("asks for a condition where it is required (RFC 6585 §3)", () => {
    expect(judged("PUT", {}, { ...strong, required: true })).toBe("428");
    expect(judged("PUT", { "if-match": '"a"' }, { ...strong, required: true })).toBe("proceed");
    expect(judged("GET", {}, { ...strong, required: true })).toBe("proceed");
  });

  it("gives the headers of the answer, and takes requests of fetch and of node", () => {
    const headers = { etag: '"a"', "last-modified": SAME };
    expect(conditional(new Request("http://a"), strong)).toEqual({ verdict: "proceed", status: undefined, headers });
    const request = new Request("http://a", { headers: { "if-none-match": '"a"' } });
    expect(conditional(request, strong)).toEqual({ verdict: "not-modified", status: 304, headers });
    expect(conditional({ headers: { "if-none-match": ['"x"', '"a"'] } }, strong).status).toBe(304);
    expect(() => conditional(request, { etag: "a" })).toThrow("Expected `etag` to be an entity tag with its quotes");
    expect(() => conditional(request, { lastModified: Number.NaN })).toThrow("Expected `lastModified` to be a date");
  });
});

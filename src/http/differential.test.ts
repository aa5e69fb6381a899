import fc from "fast-check";
import CachePolicy from "http-cache-semantics";
import { describe, expect, it } from "vitest";
import { requestDirectives } from "./cache-control.js";
import { formatHttpDate } from "./dates.js";
import { fieldValue, type Fields } from "./fields.js";
import { currentAge, freshnessLifetime, type Timed } from "./freshness.js";
import { reuseOf } from "./reuse.js";
import { whyUnstorable } from "./storable.js";

/*
 * The rules against those of `http-cache-semantics`: the same wherever both follow RFC 9111, and where they differ, by which of
 * its sections ours is so.
 */

const NOW = Date.UTC(2026, 0, 1);
const date = (offset: number): string => formatHttpDate(NOW + offset * 1_000);

class Policy extends CachePolicy {
  static time = NOW;
  now(): number {
    return Policy.time;
  }
}

interface Verdict {
  readonly stored: boolean;
  /** Seconds. */
  readonly lifetime: number;
  /** Seconds, `later` seconds after it came. */
  readonly age: number;
  /** Then it answers without being validated. */
  readonly reused: boolean;
}

interface Case {
  readonly status: number;
  readonly fields: Fields;
  readonly shared: boolean;
  readonly first?: Fields;
  readonly second?: Fields;
  readonly later: number;
}

function ours({ status, fields, shared, first = [], second = [], later }: Case): Verdict {
  const kind = { shared, targets: [], setCookie: true, decoded: false, negotiate: false };
  const response: Timed = { status, fields, requestTime: NOW, responseTime: NOW };
  const now = NOW + later * 1_000;
  const stored = whyUnstorable({ method: "GET", fields: first }, response, kind) === undefined;
  const { verdict } = reuseOf(response, requestDirectives(second), now, kind, false);
  return {
    stored,
    lifetime: freshnessLifetime(response, kind) / 1_000,
    age: currentAge(response, now) / 1_000,
    reused: stored && verdict === "serve",
  };
}

function theirs({ status, fields, shared, first = [], second = [], later }: Case): Verdict {
  Policy.time = NOW;
  const named = (own: Fields): Record<string, string> =>
    Object.fromEntries(own.map(([name]) => [name, fieldValue(own, name) ?? ""]));
  const request = (own: Fields) => ({ url: "/", method: "GET", headers: { host: "a", ...named(own) } });
  const policy = new Policy(request(first), { status, headers: named(fields) }, { shared, immutableMinTimeToLive: 0 });
  Policy.time = NOW + later * 1_000;
  return {
    stored: policy.storable(),
    lifetime: policy.maxAge(),
    age: policy.age(),
    reused: policy.storable() && policy.satisfiesWithoutRevalidation(request(second)),
  };
}

const seconds = fc.integer({ min: 0, max: 100 });
const directive = fc.oneof(
  fc.constantFrom("no-store", "no-cache", "public", "private", "immutable", "foo", 'foo="bar"'),
  seconds.map((n) => `max-age=${n}`),
  seconds.map((n) => `s-maxage=${n}`),
);
const asked = fc.oneof(
  fc.constantFrom("no-cache", "foo"),
  seconds.map((n) => `max-age=${n + 1}`),
  seconds.map((n) => `min-fresh=${n + 1}`),
);
const nameOf = (text: string): string => text.split("=")[0] ?? "";
const optional = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<Fields> =>
  fc.option(value).map((one) => (one === null ? [] : [[name, one]]));

const cases: fc.Arbitrary<Case> = fc.record({
  status: fc.constantFrom(200, 203, 204, 300, 301, 302, 307, 404, 410, 501),
  shared: fc.boolean(),
  later: fc.integer({ min: 0, max: 150 }),
  first: optional("authorization", fc.constant("Basic x")),
  second: optional("cache-control", asked),
  fields: fc
    .tuple(
      optional(
        "cache-control",
        fc.uniqueArray(directive, { minLength: 1, maxLength: 4, selector: nameOf }).map((all) => all.join(", ")),
      ),
      optional("expires", fc.oneof(fc.integer({ min: -100, max: 100 }).map(date), fc.constantFrom("0", "-1", "never"))),
      optional("last-modified", fc.integer({ min: -800_000, max: 0 }).map(date)),
      optional("etag", fc.constant('"a"')),
      optional("age", fc.integer({ min: 0, max: 100 }).map(String)),
    )
    .map((parts): Fields => [["date", date(0)], ...parts.flat()]),
});

describe("the rules and http-cache-semantics", () => {
  it("agree on what is stored, how long it is fresh, how old it is and whether it is reused", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const [own, other] = [ours(one), theirs(one)];
        // Ours stores nothing that can never be of use; and it takes a lifetime of 0 that the other has for what is not stored.
        // By §3 private is enough for a private cache, whatever the status: see below.
        const isPrivate = !one.shared && /private/.test(fieldValue(one.fields, "cache-control") ?? "");
        if (own.stored && !isPrivate) expect(other.stored).toBe(true);
        expect(own.age).toBe(other.age);
        // What is stored for being private has a heuristic lifetime as well (§4.2.2).
        if (isPrivate && own.stored && !other.stored) return;
        expect(own.reused).toBe(other.reused);
        const isNoCache = /no-cache/.test(fieldValue(one.fields, "cache-control") ?? "");
        if (own.stored && other.stored && !isNoCache) expect(own.lifetime).toBeCloseTo(other.lifetime, 6);
        if (other.stored && !own.stored) expect(other.lifetime).toBe(0);
      }),
      { numRuns: 3_000 },
    );
  });

  const base = { status: 200, shared: true, later: 1 };
  const cc = (value: string): Fields => [
    ["date", date(0)],
    ["cache-control", value],
  ];
  it.each<[string, Case, keyof Verdict, unknown, unknown]>([
    [
      "§3: any final status with explicit freshness",
      { ...base, status: 599, fields: cc("max-age=9") },
      "stored",
      true,
      false,
    ],
    [
      "§3: a 206 too, by a cache that knows ranges (§3.3)",
      { ...base, status: 206, fields: [...cc("max-age=9"), ["content-range", "bytes 0-1/2"]] },
      "stored",
      true,
      false,
    ],
    [
      "§3: private, in a private cache",
      { ...base, shared: false, status: 302, fields: [...cc("private"), ["etag", '"a"']] },
      "stored",
      true,
      false,
    ],
    ["§5.2: names in any case", { ...base, fields: cc("Max-Age=9") }, "reused", true, false],
    [
      "§4.2.1: of two times the first or none",
      { ...base, later: 5, fields: cc("max-age=1, max-age=9") },
      "reused",
      false,
      true,
    ],
    ["§4.2.1: a time that is no number is none", { ...base, fields: cc("max-age=9x") }, "reused", false, true],
    [
      "§5.2: quoted strings hold commas",
      { ...base, fields: cc('foo="a, no-store, b", max-age=9') },
      "stored",
      true,
      false,
    ],
    ["§5.2.2.4: no-cache of some fields", { ...base, fields: cc('max-age=9, no-cache="x-a"') }, "reused", true, false],
    ["§5.2.2.7: private of some fields", { ...base, fields: cc('max-age=9, private="x-a"') }, "stored", true, false],
    [
      "§5.2.2.3: must-understand",
      { ...base, fields: cc("must-understand, no-store, max-age=9") },
      "stored",
      true,
      false,
    ],
    [
      "§5.2.2.2: must-revalidate is about stale ones",
      { ...base, fields: cc("must-revalidate, max-age=9") },
      "reused",
      true,
      false,
    ],
    [
      "§5.2.2.8: proxy-revalidate is about stale ones",
      { ...base, fields: cc("proxy-revalidate, max-age=9") },
      "reused",
      true,
      false,
    ],
    [
      "§4.2.3: Date tells of age too",
      {
        ...base,
        fields: [
          ["date", date(-60)],
          ["cache-control", "max-age=30"],
        ],
      },
      "reused",
      false,
      true,
    ],
    [
      "§5.3: an Expires of another zone is none",
      {
        ...base,
        fields: [
          ["date", date(0)],
          ["expires", date(60).replace("GMT", "PST")],
        ],
      },
      "reused",
      false,
      true,
    ],
    [
      "§5.2.1.2: stale by no more than max-stale",
      { ...base, later: 12, fields: cc("max-age=9"), second: [["cache-control", "max-stale=3"]] },
      "reused",
      true,
      false,
    ],
    [
      "§5.4: Pragma means nothing in a response",
      {
        ...base,
        fields: [
          ["date", date(0)],
          ["pragma", "no-cache"],
          ["expires", date(60)],
        ],
      },
      "reused",
      true,
      false,
    ],
  ])("differ, ours by %s", (_section, one, what, own, other) => {
    expect({ ours: ours(one)[what], theirs: theirs(one)[what] }).toEqual({ ours: own, theirs: other });
  });
});

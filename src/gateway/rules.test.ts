import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { FakeClock } from "../testing/index.js";
import { addressTest } from "./addresses.js";
import { Health } from "./health.js";
import { normalEscapes } from "./request.js";
import { forwardedFields } from "./request-fields.js";
import { RetryBudget } from "./retry-budget.js";
import { keyQuery, resolveRoute, routeFor } from "./routes.js";
import { RULE_FIELD, ruledFields } from "./ttl.js";

describe("routes", () => {
  const routes = [{ host: "*.a.example", path: "/x/" }, { host: "b.example" }, { path: "/x" }, {}].map((route) =>
    resolveRoute(route),
  );
  it.each([
    ["s.a.example", "/x/y", 0],
    ["s.a.example", "/xy", 3],
    ["a.example", "/x", 2],
    ["b.example", "/x", 1],
    ["c.example", "/x", 2],
    ["c.example", "/x/", 2],
    ["c.example", "/", 3],
    ["eviB.example", "/", 3],
  ])("the first that matches counts: %s%s", (host, path, index) => {
    expect(routeFor(routes, host, path)).toBe(routes[index]);
  });

  const query = (options: object): ((search: string) => string) => {
    const { query: resolved } = resolveRoute({ query: options });
    return (search) => (resolved === undefined ? search : keyQuery(search, resolved));
  };

  it("keep of a query what they say, in the order it has", () => {
    expect(query({ only: ["a", "b"] })("?b=2&c=3&a=1&b=1")).toBe("?b=2&a=1&b=1");
    expect(query({ without: ["utm_*", "x"] })("?a=1&utm_source=2&x&xy=3")).toBe("?a=1&xy=3");
    expect(query({ without: ["é"] })("?%C3%A9=1")).toBe("");
    expect(query({ sort: true })("?b=2&a=2&b=1&a=1")).toBe("?a=2&a=1&b=2&b=1");
    expect(query({ only: ["a"] })("?%zz=1&a")).toBe("?a");
  });

  it("never let two queries with other values be one", () => {
    const pair = fc.tuple(fc.constantFrom("a", "b", "c"), fc.constantFrom("1", "2"));
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 5 }), fc.array(pair, { maxLength: 5 }), (one, other) => {
        const text = (pairs: typeof one): string => `?${pairs.map(([name, value]) => `${name}=${value}`).join("&")}`;
        const values = (pairs: typeof one): string =>
          JSON.stringify(
            ["a", "b", "c"].map((name) => pairs.filter(([own]) => own === name).map(([, value]) => value)),
          );
        const sorted = query({ sort: true });
        expect(sorted(text(one)) === sorted(text(other))).toBe(values(one) === values(other));
      }),
    );
  });
});

describe("escapes in a path", () => {
  it.each([
    ["/%7euser", "/~user"],
    ["/a%2fb", "/a%2Fb"],
    ["/%41%20%5a", "/A%20Z"],
    ["/%", "/%"],
    ["/%252e", "/%252e"],
  ])("have one form: %s", (path, normal) => {
    expect(normalEscapes(path)).toBe(normal);
    expect(normalEscapes(normal)).toBe(normal);
  });
});

describe("the fields of a request", () => {
  const request = {
    isRead: true,
    url: new URL("http://a.example/"),
    httpVersion: "1.1",
    address: "1.2.3.4",
    isTrusted: false,
    via: "me",
  };
  const names = (fields: readonly (readonly [string, string])[], options = {}, own = {}): string[] =>
    forwardedFields(fields, resolveRoute({ requestHeaders: options }), { ...request, ...own }).map(([name]) => name);
  const own = ["via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

  it("pass by default, but for those that make a request another one", () => {
    expect(
      names([
        ["test-id", "1"],
        ["x-rewrite-url", "/b"],
        ["x_rewrite_url", "/b"],
        ["x_forwarded_for", "x"],
      ]),
    ).toEqual(["test-id", ...own]);
    expect(names([["x-rewrite-url", "/b"]], { allow: ["X-Rewrite-URL"] })).toEqual(["x-rewrite-url", ...own]);
    expect(names([["x-forwarded-for", "6.6.6.6"]], { allow: ["X-Forwarded-For"] })).toEqual(own);
  });

  it("that Connection names do not pass", () => {
    expect(
      names([
        ["connection", "x-a, close"],
        ["x-a", "1"],
        ["keep-alive", "1"],
      ]),
    ).toEqual(own);
  });

  it("are those that a route lists, where it does, and conditions; writes have all of theirs", () => {
    const fields = [
      ["a", "1"],
      ["b", "2"],
      ["if-none-match", '"x"'],
    ] as const;
    expect(names(fields, { only: ["A"] })).toEqual(["a", "if-none-match", ...own]);
    expect(names(fields, { only: ["A"] }, { isRead: false })).toEqual(["a", "b", "if-none-match", ...own]);
  });
});

describe("times of a route", () => {
  const rule = (ttl: object, status: number, ...fields: [string, string][]): string | undefined =>
    ruledFields(status, fields, resolveRoute({ ttl }).ttl).find(([name]) => name === RULE_FIELD)?.[1];

  it("count where the origin says nothing, or instead of what it says", () => {
    expect(rule({ default: "1m" }, 200)).toBe("max-age=60");
    expect(rule({ default: "1m" }, 200, ["cache-control", "max-age=5"])).toBeUndefined();
    expect(rule({ default: "1m" }, 200, ["expires", "0"])).toBeUndefined();
    expect(rule({ override: "1m", staleIfError: "1h" }, 200, ["cache-control", "max-age=5"])).toBe(
      "max-age=60, stale-if-error=3600",
    );
    expect(rule({ override: "1m" }, 200, ["cache-control", "max-age=5, must-revalidate"])).toBe(
      "max-age=60, must-revalidate",
    );
    expect(rule({ override: "1m" }, 500)).toBeUndefined();
  });

  it.each(["private", "no-store", "no-cache", 'private="x"'])("never count for %s", (cacheControl) => {
    expect(rule({ override: "1m" }, 200, ["cache-control", cacheControl])).toBeUndefined();
  });

  it("end when what was kept has become somebody's own, or was said by an origin", () => {
    expect(rule({ override: "1m" }, 304, ["cache-control", "private"])).toBe("no-store");
    expect(ruledFields(200, [[RULE_FIELD, "max-age=9999"]], undefined)).toEqual([]);
  });
});

describe("a server's health", () => {
  const options = { failures: 3, cooldown: 1_000, path: undefined, interval: 1, timeout: 1 };

  it("is lost by failures in a row, for longer each time, and comes back with an answer", async () => {
    const clock = new FakeClock();
    const health = new Health(options, clock);
    health.failed();
    health.failed();
    health.succeeded();
    for (let times = 0; times < 2; times++) health.failed();
    expect(health.isWell).toBe(true);
    for (let times = 0; times < 10; times++) health.failed();
    expect(health.isWell).toBe(false);
    await clock.advance(1_000);
    expect(health.isWell).toBe(true);
    health.failed();
    await clock.advance(1_999);
    expect(health.isWell).toBe(false);
    await clock.advance(1);
    expect(health.isWell).toBe(true);
    health.succeeded();
    health.failed();
    expect(health.isWell).toBe(true);
  });
});

describe("a budget of repetitions", () => {
  it("is what the requests have paid for, and no more than some at once", () => {
    const budget = new RetryBudget(0.5);
    const takeAll = (): number => {
      let taken = 0;
      while (budget.take()) taken += 1;
      return taken;
    };
    expect(takeAll()).toBe(10);
    for (let times = 0; times < 4; times++) budget.requested();
    expect(takeAll()).toBe(2);
    for (let times = 0; times < 1_000; times++) budget.requested();
    expect(takeAll()).toBe(10);
    expect(new RetryBudget(0).take()).toBe(false);
  });
});

describe("addresses", () => {
  it.each([
    ["10.1.2.3", true],
    ["::ffff:10.1.2.3", true],
    ["11.1.2.3", false],
    ["fd00::1", true],
    ["fe80::1", false],
    ["unix", false],
    ["", false],
  ])("are in networks or not: %s", (address, is) => {
    expect(addressTest(["10.0.0.0/8", "fd00::/8"])(address)).toBe(is);
  });
});

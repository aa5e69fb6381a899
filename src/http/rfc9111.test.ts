import { describe, expect, it } from "vitest";
import { asks, at, cc, NOT_REUSED, STORED } from "../../test/support/http-asks.js";
import { field, read, world, type Told, type World } from "../../test/support/http-engine.js";

/*
 * RFC 9111, sentence by sentence where it says MUST or SHOULD, as the engine does it for a shared cache unless it says private:
 * what is stored, updated and told apart (§3 to §4.1). The functions behind it have tests of their own (`rules.test.ts`, `rules-reuse.test.ts`, `parse.test.ts`).
 */

describe("§3 what is stored", () => {
  it.each([
    200, 201, 202, 203, 204, 205, 299, 300, 301, 302, 303, 307, 308, 400, 404, 405, 410, 418, 451, 499, 500, 503, 599,
  ])("is a %i that says how long it is fresh", async (status) => {
    const body = status === 204 || status === 205 ? undefined : "x";
    expect(await asks(cc("max-age=60", { status, body } as Told))).toBe(STORED);
    expect(await asks((one) => ({ status, expires: at(one, 60), body }) as Told)).toBe(STORED);
  });

  it.each([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])("is a %i by heuristic (§4.2.2)", async (status) => {
    expect(await asks((one) => ({ status, "last-modified": at(one, -10_000) }))).toBe(STORED);
  });

  it.each([201, 202, 302, 303, 307, 403, 418, 500, 502, 503, 504, 599])(
    "is no %i by heuristic, unless it is public",
    async (status) => {
      expect(await asks((one) => ({ status, "last-modified": at(one, -10_000) }))).toBe(NOT_REUSED);
      expect(await asks((one) => cc("public", { status, "last-modified": at(one, -10_000) }))).toBe(STORED);
    },
  );

  it("is nothing that no-store or, in a shared cache, private forbids, in any case and place", async () => {
    for (const value of [
      "no-store",
      "No-StOrE",
      "max-age=60, no-store",
      "no-store, max-age=60",
      "no-store=1",
      'foo="a", no-store',
    ])
      expect(await asks(cc(value))).toBe(NOT_REUSED);
    for (const value of ["private, max-age=60", "max-age=60, PRIVATE"]) {
      expect(await asks(cc(value))).toBe(NOT_REUSED);
      expect(await asks(cc(value), { shared: false })).toBe(STORED);
    }
    expect(await asks({ "cache-control": ["max-age=60", "no-store"] })).toBe(NOT_REUSED);
  });

  it("is nothing of a request with no-store, whatever the response says", async () => {
    expect(await asks(cc("max-age=60"), { first: { "cache-control": "no-store" } })).toBe(NOT_REUSED);
  });

  it("does not depend on directives that are not known (§5.2.3)", async () => {
    for (const value of [
      "max-age=60, foo",
      "foo=bar, max-age=60",
      'foo="no-store", max-age=60',
      'max-age=60, foobar="x, max-age=0"',
    ])
      expect(await asks(cc(value))).toBe(STORED);
  });

  it("is with must-understand what has a status that is known, whatever no-store says (§5.2.2.3)", async () => {
    expect(await asks(cc("must-understand, no-store, max-age=60"))).toBe(STORED);
    expect(await asks(cc("must-understand, no-store, max-age=60", { status: 599 }))).toBe(NOT_REUSED);
    expect(await asks(cc("must-understand, max-age=60", { status: 299 }))).toBe(NOT_REUSED);
  });

  it("is of answers to Authorization only what allows it (§3.5)", async () => {
    const first = { authorization: "Basic x" };
    expect(await asks(cc("max-age=60"), { first, second: first })).toBe(NOT_REUSED);
    for (const value of ["max-age=60, public", "max-age=60, must-revalidate", "s-maxage=60"])
      expect(await asks(cc(value), { first })).toBe(STORED);
  });
});

describe("§3.1 stored fields", () => {
  it("are all but those of the connection, and those a directive names", async () => {
    const one = world(() =>
      cc('max-age=60, no-cache="x-a"', {
        body: "x",
        connection: "x-b, close",
        "keep-alive": "timeout=5",
        "proxy-authenticate": "Basic",
        te: "trailers",
        "transfer-encoding": "chunked",
        upgrade: "h2c",
        "x-a": "1",
        "x-b": "2",
        "x-c": "3",
        "content-language": "de",
        "content-foo": "4",
      }),
    );
    await one.text();
    const { fields } = await one.ask();
    const names = fields.map(([name]) => name).sort();
    expect(names).toEqual(["age", "cache-control", "cache-status", "content-foo", "content-language", "date", "x-c"]);
  });
});

describe("§3.2 updated fields", () => {
  it("are those of a 304, all but what tells of the stored bytes", async () => {
    const one: World = world((_asked, number) =>
      number === 1
        ? cc("max-age=1", {
            body: "xx",
            etag: '"a"',
            "content-length": "2",
            "content-type": "text/a",
            "x-a": "1",
            "x-b": "1",
            age: "0",
          })
        : cc("max-age=9", {
            status: 304,
            etag: '"a"',
            "content-length": "99",
            "content-encoding": "gzip",
            "content-type": "text/b",
            "content-foo": "2",
            "x-a": "2",
            connection: "x-hop",
            "x-hop": "2",
          }),
    );
    await one.text();
    await one.clock.advance(1_000);
    await one.text();
    const hit = await one.ask();
    const names = [
      "x-a",
      "x-b",
      "content-type",
      "content-foo",
      "content-length",
      "content-encoding",
      "x-hop",
      "cache-control",
      "age",
    ];
    expect(names.map((name) => field(hit, name))).toEqual([
      "2",
      "1",
      "text/b",
      "2",
      "2",
      undefined,
      undefined,
      "max-age=9",
      "0",
    ]);
    expect([await read(hit), one.asked.length]).toEqual(["xx", 2]);
  });

  it("are those of an answer to HEAD that agrees; one that does not ends the stored response (§4.3.5)", async () => {
    for (const [etag, length, seen] of [
      ['"a"', "2", "2"],
      ['"b"', "2", undefined],
      ['"a"', "3", undefined],
    ] as const) {
      const one = world(({ method }) =>
        method === "HEAD"
          ? cc("max-age=9", { etag, "content-length": length, "x-a": "2" })
          : cc("max-age=1", { body: "xx", etag: '"a"', "content-length": "2" }),
      );
      await one.text();
      await one.clock.advance(1_000);
      await one.ask({}, { method: "HEAD" });
      expect([field(await one.ask(), "x-a"), one.asked.length]).toEqual([seen, seen === undefined ? 3 : 2]);
    }
  });
});

describe("§4.1 Vary", () => {
  it.each([
    ["x-a", { "x-a": "1" }, { "x-a": "1" }, STORED],
    ["X-A", { "x-a": "1" }, { "x-a": "1" }, STORED],
    ["x-a", { "x-a": "1" }, { "x-a": "2" }, NOT_REUSED],
    ["x-a", {}, { "x-a": "2" }, NOT_REUSED],
    ["x-a", { "x-a": "1" }, {}, NOT_REUSED],
    ["x-a", { "x-b": "1" }, { "x-b": "2" }, STORED],
    ["x-a, x-b", { "x-a": "1", "x-b": "1" }, { "x-a": "1", "x-b": "2" }, NOT_REUSED],
    ["x-a , X-B,", { "x-a": "1", "x-b": "1" }, { "x-b": "1", "x-a": "1" }, STORED],
    ["*", {}, {}, NOT_REUSED],
    ["x-a, *", {}, {}, NOT_REUSED],
    ["accept-language", { "accept-language": "en, de" }, { "accept-language": "DE ,EN" }, STORED],
    ["accept-encoding", { "accept-encoding": "gzip;q=1.0, br" }, { "accept-encoding": "br,GZIP" }, STORED],
    ["x-a", { "x-a": "1, 2" }, { "x-a": "1,2" }, STORED],
    ["x-a", { "x-a": "A" }, { "x-a": "a" }, NOT_REUSED],
  ])("%j with %j, then %j: %i request(s)", async (vary, first, second, expected) => {
    expect(await asks(cc("max-age=60", { vary }), { first: { ...first }, second: { ...second } })).toBe(expected);
  });

  it("is of several lines as of one, and several variants are kept", async () => {
    const one = world(({ fields }, number) =>
      cc("max-age=60", { body: `${number} ${fields.length}`, vary: ["x-a", "x-b"] }),
    );
    const [a, b] = [await one.text({ "x-a": "1" }), await one.text({ "x-b": "1" })];
    expect([await one.text({ "x-a": "1" }), await one.text({ "x-b": "1" }), one.asked.length]).toEqual([a, b, 2]);
  });
});

import { describe, expect, it } from "vitest";
import { asks, at, cc, NOT_REUSED, STORED } from "../../test/support/http-asks.js";
import { field, read, sent, world, type Told, type World } from "../../test/support/http-engine.js";

/*
 * RFC 9111, sentence by sentence where it says MUST or SHOULD, as the engine does it for a shared cache unless it says private:
 * freshness, staleness, validation, invalidation, and what requests say (§4.2 to §5.4; RFC 9213). The functions behind it have tests of their own (`rules.test.ts`, `rules-reuse.test.ts`, `parse.test.ts`).
 */

describe("§4.2 freshness", () => {
  it.each([
    ["max-age=60", STORED],
    ["MAX-AGE=60", STORED],
    ['max-age="60"', STORED],
    ["max-age=060", STORED],
    ["max-age=99999999999999999999", STORED],
    ["max-age=0", NOT_REUSED],
    ["max-age=-1", NOT_REUSED],
    ["max-age=60.5", NOT_REUSED],
    ["max-age='60'", NOT_REUSED],
    ["max-age =60", NOT_REUSED],
    ["max-age= 60", NOT_REUSED],
    ["max-age=6e1", NOT_REUSED],
    ["max-age=60, max-age=1", NOT_REUSED],
    ["max-age=1, max-age=60", NOT_REUSED],
    ["max-age=1, s-maxage=60", STORED],
    ["max-age=60, s-maxage=1", NOT_REUSED],
    ["s-maxage=60", STORED],
    ["extension=1, max-age=60", STORED],
    ["xmax-age=60", NOT_REUSED],
    ["max-age=60, no-cache", NOT_REUSED],
  ])("of %j: %i request(s)", async (value, expected) => {
    expect(await asks(cc(value), { seconds: 2 })).toBe(expected);
  });

  it("of s-maxage is none of a private cache's", async () => {
    expect(await asks(cc("max-age=1, s-maxage=60"), { seconds: 2, shared: false })).toBe(NOT_REUSED);
  });

  it("of max-age goes before Expires, and of Expires counts from Date", async () => {
    expect(await asks((one) => cc("max-age=60", { expires: at(one, -60) }))).toBe(STORED);
    expect(await asks((one) => cc("max-age=0", { expires: at(one, 60) }))).toBe(NOT_REUSED);
    expect(await asks((one) => ({ date: at(one, -3_600), expires: at(one, -3_540) }))).toBe(NOT_REUSED);
    expect(await asks((one) => ({ date: at(one, 3_600), expires: at(one, 3_540) }))).toBe(NOT_REUSED);
    expect(await asks((one) => ({ date: undefined, expires: at(one, 60) }))).toBe(STORED);
  });

  it("of an Expires that is no date is none; its case and UTC do not matter (§4.2, §5.3)", async () => {
    const forms: readonly [(date: string) => unknown, number][] = [
      [(date) => date, STORED],
      [(date) => date.toLowerCase(), STORED],
      [(date) => date.toUpperCase(), STORED],
      [(date) => date.replace("GMT", "UTC"), STORED],
      [(date) => [date, "0"], STORED],
      [() => "0", NOT_REUSED],
      [() => "-1", NOT_REUSED],
      [() => "", NOT_REUSED],
      [() => "never", NOT_REUSED],
      [(date) => ["0", date], NOT_REUSED],
      [(date) => date.replace("GMT", "AEST"), NOT_REUSED],
      [(date) => date.replace("GMT", "+0000"), NOT_REUSED],
      [(date) => date.replace(" GMT", ""), NOT_REUSED],
      [(date) => date.replace(/\d{2}(\d{2}) /, "$1 "), NOT_REUSED],
      [(date) => date.replace(",", ""), NOT_REUSED],
      [(date) => date.replaceAll(" ", "  "), NOT_REUSED],
      [(date) => date.replace(/:\d\d GMT/, " GMT"), NOT_REUSED],
      [(date) => `${date} x`, NOT_REUSED],
    ];
    for (const [form, expected] of forms) {
      const told = (one: World): Told => ({ expires: form(at(one, 3_600)) });
      expect([form(""), await asks(told)]).toEqual([form(""), expected]);
    }
  });

  it("is past what Age and Date say it is old (§4.2.3, §5.1)", async () => {
    for (const age of ["60", "100", "99999999999", "60, 0", ["60", "0"]])
      expect(await asks(cc("max-age=60", { age }))).toBe(NOT_REUSED);
    for (const age of ["0", "10", "-60", "6.5", "abc", "60s", "", "0, 60", ["0", "60"]]) {
      expect([age, await asks(cc("max-age=60", { age }))]).toEqual([age, STORED]);
    }
    expect(await asks((one) => cc("max-age=60", { date: at(one, -60) }))).toBe(NOT_REUSED);
    expect(await asks((one) => cc("max-age=60", { date: at(one, -60), age: "0" }))).toBe(NOT_REUSED);
    expect(await asks((one) => cc("max-age=60", { date: at(one, 3_600) }))).toBe(STORED);
  });

  it("is told by Age in every answer from the store, in place of any that came with it (§4)", async () => {
    const one = world(() => cc("max-age=60", { body: "x", age: "10" }));
    expect(field(await one.ask(), "age")).toBe("10");
    await read(await one.ask());
    await one.clock.advance(5_000);
    expect(field(await one.ask(), "age")).toBe("15");
  });
});

describe("§4.2.4 stale answers", () => {
  const failing = (value: string, more: Told = {}, status?: number): World =>
    world((_asked, number) => {
      if (number === 1) return cc(value, { body: "old", etag: '"a"', ...more });
      if (status === undefined) throw new Error("no origin");
      return { status, body: "failed" };
    });
  const later = async (one: World, fields: Record<string, string> = {}): Promise<string> => {
    await one.text();
    await one.clock.advance(5_000);
    return one.text(fields).catch(() => "error");
  };

  it("are given when the origin is not reached, unless a directive forbids it", async () => {
    expect(await later(failing("max-age=1"))).toBe("old");
    for (const value of [
      "max-age=1, must-revalidate",
      "max-age=1, proxy-revalidate",
      "s-maxage=1",
      "max-age=1, no-cache",
    ])
      expect(await later(failing(value))).toBe("error");
    expect(await later(failing("max-age=1"), { "cache-control": "no-cache" })).toBe("error");
  });

  it("are given for a status that says so only within stale-if-error (RFC 5861 §4)", async () => {
    for (const status of [500, 502, 503, 504]) {
      expect(await later(failing("max-age=1, stale-if-error=60", {}, status))).toBe("old");
      expect(await later(failing("max-age=1, stale-if-error=2", {}, status))).toBe("failed");
      expect(await later(failing("max-age=1", {}, status))).toBe("failed");
      expect(await later(failing("max-age=1, stale-if-error=60, must-revalidate", {}, status))).toBe("failed");
    }
    expect(await later(failing("max-age=1, stale-if-error=60", {}, 404))).toBe("failed");
  });

  it("are given while they are validated, within stale-while-revalidate (RFC 5861 §3)", async () => {
    for (const [window, body] of [
      [60, "old"],
      [2, "new"],
    ] as const) {
      const one = world((_asked, number) =>
        cc(`max-age=1, stale-while-revalidate=${window}`, { body: number === 1 ? "old" : "new" }),
      );
      expect(await later(one)).toBe(body);
      await one.clock.advance(0);
      expect([await one.text(), one.asked.length]).toEqual(["new", 2]);
    }
  });
});

describe("§4.3 validation", () => {
  it("asks by both validators as they came, and answers with the stored body", async () => {
    for (const etag of ['"a"', 'W/"a"', "unquoted"]) {
      const modified = "Sun, 06 Nov 1994 08:49:37 GMT";
      const one: World = world((_asked, number) =>
        number === 1 ? cc("max-age=1", { body: "x", etag, "last-modified": modified }) : { status: 304, etag },
      );
      await one.text();
      await one.clock.advance(1_000);
      expect(await one.text()).toBe("x");
      expect([sent(one.asked[1], "if-none-match"), sent(one.asked[1], "if-modified-since")]).toEqual([etag, modified]);
    }
  });

  it("gives a full answer to whoever asked, and stores it in place of what it asked about (§4.3.3)", async () => {
    const one: World = world((_asked, number) =>
      cc(number === 1 ? "max-age=1" : "max-age=60", { body: String(number), etag: `"${number}"` }),
    );
    await one.text();
    await one.clock.advance(1_000);
    expect([await one.text(), await one.text(), one.asked.length]).toEqual(["2", "2", 2]);
  });

  it("ends what is stored when the new answer must not be", async () => {
    const one: World = world((_asked, number) =>
      cc(number === 1 ? "max-age=1, stale-if-error=99" : "no-store", { body: String(number) }),
    );
    await one.text();
    await one.clock.advance(1_000);
    expect([await one.text(), await one.text()]).toEqual(["2", "3"]);
  });

  it.each([
    [{ "if-none-match": '"a"' }, 304],
    [{ "if-none-match": 'W/"a"' }, 304],
    [{ "if-none-match": '"x", "a"' }, 304],
    [{ "if-none-match": '"x" ,, W/"a" ' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"b"' }, 200],
    [{ "if-none-match": '"b"', "if-modified-since": "Sun, 06 Nov 2095 08:49:37 GMT" }, 200],
    [{ "if-none-match": '"a"', "if-modified-since": "Sun, 06 Nov 1971 08:49:37 GMT" }, 304],
    [{ "if-modified-since": "Sun, 06 Nov 1994 08:49:37 GMT" }, 304],
    [{ "if-modified-since": "Sunday, 06-Nov-94 08:49:37 GMT" }, 304],
    [{ "if-modified-since": "Sun Nov  6 08:49:37 1994" }, 304],
    [{ "if-modified-since": "Sun, 06 Nov 1994 08:49:36 GMT" }, 200],
    [{ "if-modified-since": "yesterday" }, 200],
  ])("answers a client's %j with %i from the store (§4.3.2)", async (conditions, status) => {
    const one = world(() =>
      cc("max-age=60", {
        body: "x",
        etag: '"a"',
        "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        vary: "x-v",
        "content-location": "/y",
        "x-a": "1",
      }),
    );
    await one.text();
    const answer = await one.ask(conditions);
    expect([answer.status, one.asked.length]).toEqual([status, 1]);
    if (status === 304) {
      const names = answer.fields.map(([name]) => name).sort();
      expect(names).toEqual([
        "age",
        "cache-control",
        "cache-status",
        "content-location",
        "date",
        "etag",
        "last-modified",
        "vary",
      ]);
    }
  });

  it("compares If-Modified-Since with Date where there is no Last-Modified", async () => {
    const one: World = world(() => cc("max-age=60", { body: "x" }));
    await one.text();
    expect((await one.ask({ "if-modified-since": at(one, 0) })).status).toBe(304);
    expect((await one.ask({ "if-modified-since": at(one, -1) })).status).toBe(200);
  });
});

describe("§4.4 invalidation", () => {
  const paths = async (method: string, told: Told): Promise<readonly string[]> => {
    const one = world((asked, number) => (asked.method === "GET" ? cc("max-age=60", { body: String(number) }) : told));
    const urls = ["/x", "/y", "/z"].map((path) => ({ url: `http://a.example${path}` }));
    const before = await Promise.all(urls.map((url) => one.text({}, url)));
    await one.ask({}, { method });
    const after = await Promise.all(urls.map((url) => one.text({}, url)));
    return ["x", "y", "z"].filter((_path, index) => before[index] !== after[index]);
  };

  it.each(["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FROB"])("is by %s that did not fail", async (method) => {
    for (const status of [200, 204, 302]) expect(await paths(method, { status })).toEqual(["x"]);
    for (const status of [400, 404, 500]) expect(await paths(method, { status })).toEqual([]);
    expect(await paths(method, { location: "/y" })).toEqual(["x", "y"]);
    expect(await paths(method, { "content-location": "http://a.example/z" })).toEqual(["x", "z"]);
    expect(await paths(method, { location: "http://b.example/y", "content-location": "https://a.example/z" })).toEqual([
      "x",
    ]);
    expect(await paths(method, { status: 500, location: "/y" })).toEqual([]);
  });

  it.each(["OPTIONS", "TRACE", "HEAD"])("is not by %s", async (method) => {
    expect(await paths(method, cc("max-age=60"))).toEqual([]);
  });
});

describe("§5.2.1 request directives", () => {
  it.each([
    ["max-age=60", "max-age=0", NOT_REUSED],
    ["max-age=60", "max-age=4", NOT_REUSED],
    ["max-age=60", "max-age=5", STORED],
    ["max-age=60", "no-cache", NOT_REUSED],
    ["max-age=60", "min-fresh=55", STORED],
    ["max-age=60", "min-fresh=56", NOT_REUSED],
    ["max-age=2", "max-stale", STORED],
    ["max-age=2", "max-stale=3", STORED],
    ["max-age=2", "max-stale=2", NOT_REUSED],
    ["max-age=2, must-revalidate", "max-stale", NOT_REUSED],
    ["max-age=2, proxy-revalidate", "max-stale", NOT_REUSED],
    ["max-age=60", "no-transform", STORED],
    ["max-age=60", "foo", STORED],
  ])("%j stored and %j asked, 5 s later: %i request(s)", async (stored, asked, expected) => {
    expect(await asks(cc(stored), { seconds: 5, second: { "cache-control": asked } })).toBe(expected);
  });

  it("may be Pragma, where there is no Cache-Control (§5.4)", async () => {
    expect(await asks(cc("max-age=60"), { second: { pragma: "No-Cache" } })).toBe(NOT_REUSED);
    expect(await asks(cc("max-age=60"), { second: { pragma: "no-cache", "cache-control": "max-age=60" } })).toBe(
      STORED,
    );
    expect(await asks(cc("max-age=60"), { second: { pragma: "foo" } })).toBe(STORED);
    expect(await asks(cc("max-age=60", { pragma: "no-cache" }))).toBe(STORED);
  });

  it("may ask for what is stored alone", async () => {
    const one = world(() => cc("max-age=60", { body: "x" }));
    expect([(await one.ask({ "cache-control": "only-if-cached" })).status, one.asked.length]).toEqual([504, 0]);
    await one.text();
    expect(await one.text({ "cache-control": "only-if-cached" })).toBe("x");
  });
});

describe("RFC 9213 targeted fields", () => {
  it.each([
    ["max-age=60", "max-age=1", STORED],
    ["max-age=60", "no-store", STORED],
    ["max-age=60", "private", STORED],
    ["max-age=1", "max-age=60", NOT_REUSED],
    ["no-store", "max-age=60", NOT_REUSED],
    ["private", "max-age=60", NOT_REUSED],
    ["no-cache", "max-age=60", NOT_REUSED],
    ["", "max-age=60", STORED],
    ["max-age=1,", "max-age=60", STORED],
    ["MAX-AGE=1", "max-age=60", STORED],
    ["max-age=1 x", "max-age=60", STORED],
    ["max-age=60;foo=1", "max-age=1", STORED],
    ["max-age=60.0", "max-age=60", NOT_REUSED],
    ['max-age="60"', "max-age=60", NOT_REUSED],
    ["max-age=60, unknown=(a b), other=@1", "max-age=1", STORED],
  ])("CDN-Cache-Control %j over Cache-Control %j: %i request(s)", async (targeted, plain, expected) => {
    expect(await asks(cc(plain, { "cdn-cache-control": targeted }), { seconds: 2 })).toBe(expected);
  });

  it("leave Expires out of account (§2.2), and are forwarded as they came", async () => {
    expect(await asks((one) => ({ "cdn-cache-control": "max-age=60", expires: at(one, -60) }))).toBe(STORED);
    const one = world(() => cc("max-age=1", { body: "x", "cdn-cache-control": " max-age=60;a" }));
    await one.text();
    expect(field(await one.ask(), "cdn-cache-control")).toBe(" max-age=60;a");
  });

  it("mean nothing to a private cache", async () => {
    expect(await asks(cc("max-age=60", { "cdn-cache-control": "no-store" }), { shared: false })).toBe(STORED);
  });
});

import { describe, expect, it } from "vitest";
import { field, read, sent, world, type Told } from "../../test/support/http-engine.js";
import { hasField } from "./fields.js";

/* Stored variants and the 304s that are about them (RFC 9111 §4.1, §4.3.4). */

describe("a 304 to a question with several tags", () => {
  it("that names none confirms nothing: all of it is asked for", async () => {
    const { clock, text, ask, asked } = world(({ fields }, number) =>
      hasField(fields, "if-none-match")
        ? { status: 304 }
        : { body: String(number), etag: `"${number}"`, vary: "a", "cache-control": "max-age=10" },
    );
    await text({ a: "1" });
    await text({ a: "2" });
    // That of the second variant went out with the first one's tag, and again in full.
    expect(asked.length).toBe(3);
    await clock.advance(20_000);
    const answer = await ask({ a: "2" });
    expect(sent(asked[3], "if-none-match")).toBe('"3", "1"');
    expect([await read(answer), asked.length]).toEqual(["5", 5]);
    expect(hasField(asked[4]?.fields ?? [], "if-none-match")).toBe(false);
  });

  it("that names another variant's is about that one", async () => {
    const { clock, text, asked } = world(({ fields }, number) =>
      hasField(fields, "if-none-match") && number > 3
        ? { status: 304, etag: '"1"', vary: "a", "cache-control": "max-age=10" }
        : { body: String(number), etag: `"${number}"`, vary: "a", "cache-control": "max-age=10" },
    );
    await text({ a: "1" });
    await text({ a: "2" });
    await text({ a: "3" });
    await clock.advance(20_000);
    expect([await text({ a: "3" }), asked.length]).toEqual(["1", 4]);
    expect([await text({ a: "3" }), asked.length]).toEqual(["1", 4]);
  });
});

describe("a 304 with another Vary", () => {
  const changing = (vary: string | undefined, later: string): ReturnType<typeof world> =>
    world(({ fields }, number) =>
      hasField(fields, "if-none-match")
        ? { status: 304, etag: '"a"', vary: later, "cache-control": "max-age=60" }
        : { body: String(number), etag: '"a"', vary, "cache-control": "max-age=1" },
    );

  it.each([[undefined], ["b"]])("tells requests apart by it from then on, where it was %s", async (before) => {
    const { clock, text, asked } = changing(before, before === undefined ? "a" : `a, ${before}`);
    await text({ a: "1" });
    await clock.advance(5_000);
    expect(await text({ a: "1" })).toBe("1");
    const asks = asked.length;
    await text({ a: "2" });
    expect(asked.length).toBeGreaterThan(asks);
  });

  it("goes on to answer requests that are alike", async () => {
    const { clock, text, asked } = changing(undefined, "a");
    await text({ a: "1" });
    await clock.advance(5_000);
    await text({ a: "1" });
    expect([await text({ a: "1" }), asked.length]).toEqual(["1", 2]);
  });

  it("answers nobody else when it is a star", async () => {
    const { clock, text, asked } = changing(undefined, "*");
    await text();
    await clock.advance(5_000);
    expect(await text()).toBe("1");
    await text();
    expect(asked.length).toBe(3);
  });
});

describe("a variant that is chosen by its tag", () => {
  const oneTag = ({ fields }: { readonly fields: Parameters<typeof hasField>[0] }, number: number): Told =>
    hasField(fields, "if-none-match")
      ? { status: 304, etag: '"a"', vary: "accept-encoding", "cache-control": "max-age=60" }
      : {
          body: String(number),
          etag: '"a"',
          vary: "accept-encoding",
          "cache-control": "max-age=60, no-transform",
          ...(number === 1 && { "content-encoding": "gzip" }),
        };

  it("is not given to a client that does not accept its encoding", async () => {
    const { ask, asked } = world(oneTag);
    await ask({ "accept-encoding": "gzip" });
    const answer = await ask({ "accept-encoding": "identity" });
    expect([field(answer, "content-encoding"), await read(answer)]).toEqual([undefined, "3"]);
    expect(hasField(asked[2]?.fields ?? [], "if-none-match")).toBe(false);
  });

  it("is given to one that accepts it in other words", async () => {
    const { ask, asked } = world(oneTag);
    await ask({ "accept-encoding": "gzip" });
    const answer = await ask({ "accept-encoding": "gzip, br" });
    expect([field(answer, "content-encoding"), await read(answer), asked.length]).toEqual(["gzip", "1", 2]);
  });
});

describe("a failing origin (RFC 9111 §4.2.4)", () => {
  it.each([500, 502, 503, 504])(
    "that says %i is given as it is, where nothing allows what is stale",
    async (status) => {
      const { clock, ask } = world((_asked, number) =>
        number === 1 ? { body: "old", etag: '"a"', "cache-control": "max-age=1" } : { status, body: "failed" },
      );
      await read(await ask());
      await clock.advance(5_000);
      const answer = await ask();
      expect([answer.status, await read(answer)]).toEqual([status, "failed"]);
    },
  );
});

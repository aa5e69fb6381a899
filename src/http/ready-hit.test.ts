import { describe, expect, it } from "vitest";

import { createCache } from "../cache.js";
import { FakeClock } from "../testing/index.js";
import { HttpEngine } from "./engine.js";
import type { Answer, Exchange } from "./exchange.js";
import type { Fields } from "./fields.js";
import { resolveHttpOptions } from "./options.js";

const TEXT = new TextEncoder();

/** An engine whose origin always answers with this. */
function engineOf(fields: Fields, body: Uint8Array = TEXT.encode("hällo"), status = 200) {
  const clock = new FakeClock();
  const cache = createCache({ clock, name: "ready" });
  const engine = new HttpEngine(cache, resolveHttpOptions({ shared: true, clock }));
  const exchange = (request: Fields = [], more: Partial<Exchange> = {}): Exchange => ({
    method: "GET",
    url: new URL("https://a.example/x"),
    fields: request,
    mode: "default",
    signal: undefined,
    send: async () => ({ status, statusText: "OK", fields, body: new Blob([body]).stream() }),
    ...more,
  });
  const fill = async (request: Fields = []): Promise<void> => {
    await bytesOf(await engine.handle(exchange(request)));
    await clock.advance(0);
  };
  return { clock, engine, exchange, fill };
}

async function bytesOf({ body }: Pick<Answer, "body">): Promise<string> {
  return Buffer.from(await new Response(body).arrayBuffer()).toString("latin1");
}

const FRESH: Fields = [
  ["cache-control", "max-age=60"],
  ["etag", '"v1"'],
  ["x-two", "a"],
  ["x-two", "b"],
];

describe("hitNow", () => {
  it.each([
    ["text", TEXT.encode("hällo wörld")],
    ["bytes that are no text", new Uint8Array([0xff, 0xfe, 0, 1])],
    ["nothing", new Uint8Array(0)],
  ])("gives what the engine gives, as long as it is fresh: %s", async (_what, body) => {
    const { clock, engine, exchange, fill } = engineOf(FRESH, body);
    expect(engine.hitNow(exchange())).toBeUndefined();
    await fill();
    for (const step of [0, 400, 700, 3_000, 55_000]) {
      await clock.advance(step);
      const ready = engine.hitNow(exchange());
      const answer = await engine.handle(exchange());
      expect([step, ready?.fields]).toEqual([step, answer.fields]);
      const own = typeof ready?.body === "string" ? ready.body : Buffer.from(ready?.body ?? []).toString("latin1");
      expect(own).toBe(await bytesOf(answer));
      expect(ready?.lines.filter((_, index) => index % 2 === 0)).toContain("content-length");
      expect(ready?.lines[(ready.lines.indexOf("content-length") ?? 0) + 1]).toBe(String(body.length));
    }
    await clock.advance(1_000);
    expect(engine.hitNow(exchange())).toBeUndefined();
  });

  it.each([
    ["range", "bytes=0-1"],
    ["if-none-match", '"v1"'],
    ["if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"],
    ["if-match", '"v1"'],
    ["cache-control", "no-cache"],
    ["pragma", "no-cache"],
    ["content-length", "5"],
    ["transfer-encoding", "chunked"],
  ])("leaves a request with %s to the engine", async (name, value) => {
    const { engine, exchange, fill } = engineOf(FRESH);
    await fill();
    expect(engine.hitNow(exchange())).toBeDefined();
    expect(engine.hitNow(exchange([[name, value]]))).toBeUndefined();
  });

  it("leaves other methods and modes to the engine", async () => {
    const { engine, exchange, fill } = engineOf(FRESH);
    await fill();
    for (const method of ["HEAD", "POST"]) expect(engine.hitNow(exchange([], { method }))).toBeUndefined();
    for (const mode of ["no-store", "reload", "no-cache"] as const) {
      expect(engine.hitNow(exchange([], { mode }))).toBeUndefined();
    }
  });

  it("tells variants apart", async () => {
    const { engine, exchange, fill } = engineOf([...FRESH, ["vary", "accept-language"]]);
    await fill([["accept-language", "de"]]);
    expect(engine.hitNow(exchange([["accept-language", "de"]]))).toBeDefined();
    expect(engine.hitNow(exchange([["accept-language", "fr"]]))).toBeUndefined();
    expect(engine.hitNow(exchange())).toBeUndefined();
  });

  it.each([
    ["must be asked about first", "no-cache, max-age=60"],
    ["is not fresh", "max-age=0, stale-while-revalidate=60"],
  ])("leaves what %s to the engine", async (_what, cacheControl) => {
    const { engine, exchange, fill } = engineOf([
      ["cache-control", cacheControl],
      ["etag", '"v1"'],
    ]);
    await fill();
    expect(engine.hitNow(exchange())).toBeUndefined();
  });

  it("gives what is stored encoded to whoever accepts that, and leaves the others to the engine", async () => {
    const { engine, exchange, fill } = engineOf([...FRESH, ["content-encoding", "gzip"], ["vary", "accept-encoding"]]);
    const gzip: Fields = [["accept-encoding", "br, gzip"]];
    await fill([["accept-encoding", "gzip"]]);
    const ready = engine.hitNow(exchange(gzip));
    expect(ready?.fields).toEqual((await engine.handle(exchange(gzip))).fields);
    expect(ready?.fields).toContainEqual(["content-encoding", "gzip"]);
    expect(engine.hitNow(exchange())).toBeUndefined();
    expect(engine.hitNow(exchange([["accept-encoding", "br, gzip;q=0"]]))).toBeUndefined();
  });

  it("says no length of an answer that has no body", async () => {
    const { engine, exchange, fill } = engineOf(FRESH, new Uint8Array(0), 204);
    await fill();
    expect(engine.hitNow(exchange())?.status).toBe(204);
    expect(engine.hitNow(exchange())?.lines).not.toContain("content-length");
  });

  it.each(["/", "/a/", "/a//b", "/%2F/a%3Ab/*=1", "/a?b=c&d=%20", "/'42/true/v2/~x", "/ä", `/${"s/".repeat(150)}`])(
    "finds what was stored for %s, and for nothing near it",
    async (path) => {
      const { engine, exchange, fill } = engineOf(FRESH);
      const url = new URL(path, "https://a.example");
      await bytesOf(await engine.handle(exchange([], { url })));
      await fill();
      expect(engine.hitNow(exchange([], { url }))).toBeDefined();
      expect(engine.hitNow(exchange([], { url: new URL(url) }))).toBeDefined();
      expect(engine.hitNow(exchange([], { url: new URL(`${url.href}1`) }))).toBeUndefined();
    },
  );

  it("gives the same head as long as it holds", async () => {
    const { clock, engine, exchange, fill } = engineOf(FRESH);
    await fill();
    // Exactly a minute is left only now.
    await clock.advance(1);
    const first = engine.hitNow(exchange());
    await clock.advance(998);
    expect(engine.hitNow(exchange())).toBe(first);
    await clock.advance(1);
    expect(engine.hitNow(exchange())?.fields).not.toEqual(first?.fields);
  });
});

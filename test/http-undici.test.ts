import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Agent, interceptors, request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCache } from "../src/cache.js";
import { cachedFetch } from "../src/http/index.js";

/** What a path answers, and whether a second request at once is answered from the store. */
const CASES: readonly (readonly [
  path: string,
  status: number,
  headers: Record<string, string>,
  second?: Record<string, string>,
])[] = [
  ["fresh", 200, { "cache-control": "max-age=60" }],
  ["shared", 200, { "cache-control": "s-maxage=60" }],
  ["expires", 200, { expires: new Date(Date.now() + 60_000).toUTCString() }],
  ["stale", 200, { "cache-control": "max-age=0" }],
  ["no-store", 200, { "cache-control": "no-store, max-age=60" }],
  ["no-cache", 200, { "cache-control": "no-cache" }],
  ["private", 200, { "cache-control": "private, max-age=60" }],
  ["nothing", 200, {}],
  ["redirect", 308, { "cache-control": "max-age=60", location: "/elsewhere" }],
  ["gone", 410, { "cache-control": "max-age=60" }],
  ["vary-same", 200, { "cache-control": "max-age=60", vary: "x-a" }],
  ["vary-other", 200, { "cache-control": "max-age=60", vary: "x-a" }, { "x-a": "2" }],
  ["vary-any", 200, { "cache-control": "max-age=60", vary: "*" }],
  ["old", 200, { "cache-control": "max-age=60", age: "61" }],
  ["asked-no-cache", 200, { "cache-control": "max-age=60" }, { "cache-control": "no-cache" }],
  ["asked-fresh", 200, { "cache-control": "max-age=60" }, { "cache-control": "min-fresh=61" }],
];

describe("the fetch and undici's cache interceptor", () => {
  const asked = new Map<string, number>();
  const server = createServer((incoming, outgoing) => {
    const path = (incoming.url ?? "").split("/")[2] ?? "";
    asked.set(incoming.url ?? "", (asked.get(incoming.url ?? "") ?? 0) + 1);
    const [, status = 404, headers = {}] = CASES.find(([name]) => name === path) ?? [];
    outgoing.writeHead(status, headers).end("x");
  });
  beforeAll(() => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve)));
  afterAll(() => new Promise((resolve) => void server.close(resolve)));

  it("ask the origin for the same requests, where both keep to RFC 9111", async () => {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const cache = createCache();
    const http = cachedFetch(cache, { shared: true });
    const dispatcher = new Agent().compose(interceptors.cache({ type: "shared" }));
    for (const [path, , , second] of CASES) {
      for (const headers of [{ "x-a": "1" }, { "x-a": "1", ...second }]) {
        await (await http(`${origin}/ours/${path}`, { headers, redirect: "manual" })).text();
        await (await request(`${origin}/theirs/${path}`, { dispatcher, headers })).body.text();
      }
    }
    for (const [path] of CASES) {
      expect([path, asked.get(`/ours/${path}`)]).toEqual([path, asked.get(`/theirs/${path}`)]);
    }
    await dispatcher.close();
    await cache.close();
  });
});

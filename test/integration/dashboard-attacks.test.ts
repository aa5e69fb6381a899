import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAdmin, type Admin } from "../../src/admin/index.js";
import { createCache, type Cache } from "../../src/index.js";
import { raw } from "../support/raw-http.js";

const TOKEN = "attacked-token-0123456";
let cache: Cache;
let admin: Admin;
let port: number;

beforeAll(async () => {
  cache = createCache({ name: "crm" });
  admin = createAdmin(cache, { environment: "test", tokens: { admin: TOKEN } });
  ({ port } = await admin.listen());
});
afterAll(async () => {
  await admin.close();
  await cache.close();
});

/** A request as it is on the wire, and what comes back. */
function send(line: string, headers: readonly string[] = [], body = ""): Promise<string> {
  const head = [line, ...headers, `authorization: Bearer ${TOKEN}`, "connection: close", "", body];
  return raw(port, head.join("\r\n"));
}

async function isWell(): Promise<boolean> {
  return (await send("GET /api/me HTTP/1.1", ["host: localhost"])).startsWith("HTTP/1.1 200");
}

it.each([
  ["another name", "GET /api/me HTTP/1.1", ["host: evil.example"], 403],
  ["no name", "GET /api/me HTTP/1.1", [], 400],
  ["an empty name", "GET /api/me HTTP/1.1", ["host:"], 403],
  ["a name before an address", "GET /api/me HTTP/1.1", ["host: localhost@evil.example"], 400],
  ["an address of its own in the first line", "GET http://evil.example/api/me HTTP/1.1", ["host: evil.example"], 403],
  ["a way out of the folder", "GET /../../../../etc/passwd HTTP/1.1", ["host: localhost"], 404],
  ["an encoded way out", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", ["host: localhost"], 404],
  ["a way out with a NUL", "GET /index.html%00.js HTTP/1.1", ["host: localhost"], 404],
  ["a Windows way out", "GET /..%5c..%5cpackage.json HTTP/1.1", ["host: localhost"], 404],
  ["two slashes and a name", "GET //evil.example/api/me HTTP/1.1", ["host: localhost"], 404],
  ["a method that there is not", "PROPFIND / HTTP/1.1", ["host: localhost"], 405],
  ["headers of a megabyte", "GET /api/me HTTP/1.1", ["host: localhost", `x: ${"y".repeat(1_000_000)}`], 431],
])("answers a request with %s with no more than a status", async (_what, line, headers, status) => {
  const answer = await send(line, headers);
  expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
  expect(answer).not.toMatch(/root:|"actor"/);
  expect(await isWell()).toBe(true);
});

it.each([
  ["longer than it takes", `{"target":{"kind":"key","text":"${"x".repeat(200_000)}"}}`],
  ["that is no JSON", "{{{{"],
  ["that is a prototype", '{"__proto__":{"kind":"all"},"target":{"__proto__":{"kind":"all","text":""}}}'],
  ["of arrays in arrays", `${"[".repeat(8_000)}${"]".repeat(8_000)}`],
])("previews nothing for a body %s", async (_what, body) => {
  const headers = ["host: localhost", "content-type: application/json", `content-length: ${body.length}`];
  const answer = await send("POST /api/preview HTTP/1.1", headers, body);
  expect(answer.slice(0, 12)).toMatch(/^HTTP\/1\.1 4\d\d/);
  expect(answer).not.toContain('"token"');
  expect(await isWell()).toBe(true);
});

it("is held up by nobody who begins a request and does not end it", async () => {
  const sockets: Socket[] = [];
  for (let at = 0; at < 100; at += 1) {
    const socket = connect(port, "127.0.0.1").on("error", () => undefined);
    socket.write(
      "POST /api/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    );
    sockets.push(socket);
  }
  expect(await isWell()).toBe(true);
  for (const socket of sockets) socket.destroy();
});

it("streams to 32 of 100 that ask for it, tells the others so, and has room when they are gone", async () => {
  const gone = new AbortController();
  const headers = { authorization: `Bearer ${TOKEN}` };
  const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${port}/api/live`, { headers, signal: gone.signal });
  const all = await Promise.all(Array.from({ length: 100 }, ask));
  expect(all.filter(({ status }) => status === 200)).toHaveLength(32);
  expect(all.filter(({ status }) => status === 503)).toHaveLength(68);
  expect(await isWell()).toBe(true);
  gone.abort();
  await expect
    .poll(
      async () => {
        const one = await fetch(`http://127.0.0.1:${port}/api/live`, { headers });
        await one.body?.cancel();
        return one.status;
      },
      { timeout: 10_000 },
    )
    .toBe(200);
});

import { createServer, type Server } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { connect, type AddressInfo } from "node:net";

import { afterEach, describe, expect, it } from "vitest";

import { createCache, memory } from "../../src/index.js";
import { FakeClock } from "../../src/testing/index.js";
import type { AppCacheOptions } from "../../src/http/app-rules.js";
import { HttpEngine } from "../../src/http/engine.js";
import type { OriginAnswer } from "../../src/http/exchange.js";
import { answerNode, type NodeOutcome } from "../../src/http/node/answer.js";
import { nodeFields } from "../../src/http/node/fields.js";
import { httpCache } from "../../src/http/node/http-cache.js";
import { serverLimits } from "../../src/http/node/limits.js";
import { resolveHttpOptions } from "../../src/http/options.js";
import { deferred } from "../support/deferred.js";
import { FACES, listening, made, type Face, type Route, type RunningApp } from "../support/http-apps.js";
import { raw } from "../support/raw-http.js";
import { until } from "../support/until.js";

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function start(face: Face, route: Route, options?: AppCacheOptions): Promise<RunningApp> {
  const app = await face(route, options);
  open.push(app);
  return app;
}

const node = FACES["node:http"] as Face;
const PUBLIC = { "cache-control": "public, max-age=60" };
const GET = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const CLOSE = "Connection: close\r\n\r\n";

describe("smuggling", () => {
  it.each([
    ["a length and a transfer coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"],
    ["a transfer coding that is none", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
    ["a blank before the colon", "X-Field : a\r\n\r\n"],
    ["a bare line feed in a head", "X-Field: a\nX-Other: b\r\n\r\n"],
  ])("refuses a request with %s, and asks nobody", async (_what, rest) => {
    const app = await start(node, () => made("a", PUBLIC));
    const answer = await raw(app.port, `POST / HTTP/1.1\r\nHost: a.example\r\n${rest}`);
    expect(answer.split("\r\n")[0]).toMatch(/^HTTP\/1\.1 (?:400 Bad Request|501 Not Implemented)$/);
    expect(app.asked).toEqual([]);
  });

  it("takes the body of a GET that hits for its body, and not for the next request", async () => {
    const app = await start(node, ({ url }) => made(`at ${url}`, PUBLIC));
    const head = "GET /hit HTTP/1.1\r\nHost: a.example\r\n";
    await raw(app.port, `${head}${CLOSE}`);
    const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";
    const next = `GET /next HTTP/1.1\r\nHost: a.example\r\n${CLOSE}`;
    const answers = await raw(app.port, `${head}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}${next}`);
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(answers).toContain("at /hit");
    expect(answers).toContain("at /next");
    expect(app.asked.map(({ url }) => url)).toEqual(["/hit", "/next"]);
  });

  it("ends a connection whose GET hits with a body of unknown length", async () => {
    const app = await start(node, ({ url }) => made(`at ${url}`, PUBLIC));
    const head = "GET /hit HTTP/1.1\r\nHost: a.example\r\n";
    await raw(app.port, `${head}${CLOSE}`);
    const next = `GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n`;
    const answers = await raw(app.port, `${head}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n${next}`);
    expect(answers.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(answers.toLowerCase()).toContain("connection: close");
    expect(app.asked).toHaveLength(1);
  });

  it("leaves a request to switch protocols to the application", async () => {
    const app = await start(node, () => made("a", PUBLIC));
    const text = `GET / HTTP/1.1\r\nHost: a.example\r\n`;
    await raw(app.port, `${text}${CLOSE}`);
    const answer = await raw(app.port, `${text}Upgrade: h2c\r\nConnection: upgrade, close\r\n\r\n`, "a\r\n0");
    expect(answer).not.toContain("Cache-Status");
    expect(app.asked).toHaveLength(2);
  });
});

describe.each(Object.entries(FACES))("the %s face", (_name, face) => {
  it("lets nobody poison another's answer by fields of a request's way here", async () => {
    const links: Route = ({ headers }) =>
      made(`https://${String(headers["x-forwarded-host"] ?? "own.example")}/`, PUBLIC);
    const app = await start(face, links);
    const evil = await fetch(app.url, { headers: { "x-forwarded-host": "evil.example" } });
    expect(await evil.text()).toBe("https://evil.example/");
    expect(await (await fetch(app.url)).text()).toBe("https://own.example/");
    expect(await (await fetch(app.url)).text()).toBe("https://own.example/");
    expect(app.asked).toHaveLength(2);
  });

  it("stores nothing by what its path looks like, and nothing of a path that is not written as its key is", async () => {
    const app = await start(face, ({ url }) => made(`secret of ${url}`, { "set-cookie": "sid=1" }), { ttl: "1m" });
    for (const target of ["/account/logo.css", "/account/logo.css"]) {
      await raw(app.port, `GET ${target} HTTP/1.1\r\nHost: a.example\r\nCookie: sid=1\r\n${CLOSE}`);
    }
    expect(app.asked).toHaveLength(2);
    const plain = await start(face, () => made("page", PUBLIC));
    for (const target of ["/static/../account", "/static/%2e%2e/account", "/static\\..\\account", "//evil.example/x"]) {
      const before = plain.asked.length;
      const answers: string[] = [];
      for (let time = 0; time < 2; time += 1) {
        answers.push(await raw(plain.port, `GET ${target} HTTP/1.1\r\nHost: a.example\r\n${CLOSE}`));
      }
      // Whoever normalises the path itself has one key for it, its own; nobody else keeps anything.
      const isRefused = answers.every((answer) => /^HTTP\/1\.1 40[04]/.test(answer));
      const isAsked = plain.asked.length === before + 2;
      const isNormal = plain.asked.slice(before).every(({ url }) => !url.includes("..") && !url.includes("\\"));
      expect([target, isRefused || isAsked || isNormal]).toEqual([target, true]);
    }
    // The plain one was never filled from any of them, unless it was asked for by that very name.
    const straight = await raw(plain.port, `GET /static/account HTTP/1.1\r\nHost: a.example\r\n${CLOSE}`);
    expect(straight).not.toMatch(/;hit/);
  });

  it.each([
    ["cookies, and answers that say no word of it", "cookie", { "cache-control": "max-age=60" }],
    ["cookies, and answers with Set-Cookie", "cookie", { ...PUBLIC, "set-cookie": "a=b" }],
    ["cookies, and private answers", "cookie", { "cache-control": "private, max-age=60" }],
    ["authorization", "authorization", { "cache-control": "max-age=60" }],
    ["keys of services", "x-api-key", { "cache-control": "max-age=60" }],
  ])("gives many at the same time each their own: %s", async (_what, field, headers) => {
    const gate = deferred<void>();
    const app = await start(face, async (asked) => {
      await gate.promise;
      return made(String(asked.headers[field]), headers);
    });
    const users = Array.from({ length: 12 }, (_, index) => `user=${index}`);
    const answers = users.map(async (user) => (await fetch(app.url, { headers: { [field]: user } })).text());
    await until(() => app.asked.length > 0);
    gate.resolve();
    expect(await Promise.all(answers)).toEqual(users);
  });

  it.each(["cookie", "authorization", "x-api-key", "api-key", "x-auth-token", "x-access-token"])(
    "answers nobody's request of their own with what was made for everybody: %s",
    async (field) => {
      const app = await start(face, ({ headers }) => made(String(headers[field] ?? "nobody")), { ttl: "1m" });
      expect(await (await fetch(app.url)).text()).toBe("nobody");
      expect(await (await fetch(app.url, { headers: { [field]: "sid=1" } })).text()).toBe("sid=1");
      expect(await (await fetch(app.url, { headers: { [field]: "sid=2" } })).text()).toBe("sid=2");
      expect(await (await fetch(app.url)).text()).toBe("nobody");
      expect(app.asked).toHaveLength(3);
    },
  );

  it("takes a request with a secret in its query past the cache", async () => {
    const app = await start(face, () => made("a", PUBLIC), { sensitive: ["invite"] });
    for (const query of ["token=1", "X-Amz-Signature=1", "a=1&api_key=2", "Password=", "invite=1", "%74oken=1"]) {
      const before = app.asked.length;
      for (let time = 0; time < 2; time += 1) expect(await (await fetch(`${app.url}/?${query}`)).text()).toBe("a");
      expect([query, app.asked.length - before]).toEqual([query, 2]);
    }
  });

  it("fails a request whose tag could be more than a tag", async () => {
    const app = await start(face, () => made("a", PUBLIC), { tags: () => ["a\r\nset-cookie: b"] });
    const answer = await fetch(app.url);
    expect([answer.status, answer.headers.get("set-cookie")]).toEqual([500, null]);
  });
});

describe("header injection", () => {
  it.each([
    ["a value", ["x-own", "a\r\nset-cookie: b=c"]],
    ["a name", ["x-own\r\nset-cookie", "b=c"]],
  ] as const)("writes no answer with a line break in %s, in neither version of HTTP", async (_what, field) => {
    const { http, http2 } = await engineServers(async () => ({ ...OK, fields: [...OK.fields, field] }));
    const plain = await fetch(`http://127.0.0.1:${http}/`);
    expect([plain.status, plain.headers.get("set-cookie")]).toEqual([502, null]);
    expect(await http2Head(http2)).toMatchObject({ ":status": 502 });
    // Nor when it is stored.
    expect((await fetch(`http://127.0.0.1:${http}/`)).status).toBe(502);
  });

  it("repeats no reason phrase that is more than one", async () => {
    const { http } = await engineServers(async () => ({ ...OK, statusText: "OK\r\nset-cookie: a=b" }));
    const answer = await raw(http, `GET / HTTP/1.1\r\nHost: a.example\r\n${CLOSE}`);
    expect(answer.split("\r\n")[0]).toBe("HTTP/1.1 200 OK");
    expect(answer).not.toContain("a=b");
  });
});

describe("a body of another length than it says", () => {
  it.each([
    ["shorter", "10"],
    ["longer", "2"],
  ])("takes the connection with it: %s", async (_what, length) => {
    const fields = [
      ["cache-control", "max-age=60"],
      ["content-length", length],
    ] as const;
    const { http } = await engineServers(async () => ({ ...OK, fields, body: new Blob(["12345"]).stream() }));
    const began = performance.now();
    const answer = await raw(http, GET);
    // A whole answer would leave it open for the five seconds of a connection that may be used again.
    expect(performance.now() - began).toBeLessThan(4_000);
    expect((answer.split("\r\n\r\n")[1] ?? "").length).toBeLessThan(Number(length));
    // It is not stored either: the next is asked for anew.
    expect(await raw(http, GET)).not.toContain(";hit");
  });
});

describe("slow clients", () => {
  it("cuts one that does not end its head", async () => {
    const web = httpCache(cacheFor(), {});
    const limits = serverLimits({ headersTimeout: 200, connectionsCheckingInterval: 50 });
    const { port } = await opened(
      createServer(
        limits,
        web.handler(() => undefined),
      ),
    );
    expect(await raw(port, "GET / HTTP/1.1\r\nHost: a.example\r\nX-Slow: ")).toContain("408 Request Timeout");
  });

  it("cuts one that does not end its body", async () => {
    const web = httpCache(cacheFor(), {});
    const limits = serverLimits({ headersTimeout: 200, requestTimeout: 300, connectionsCheckingInterval: 50 });
    const { port } = await opened(
      createServer(
        limits,
        web.handler((request) => void request.resume()),
      ),
    );
    const answer = await raw(port, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nabc");
    expect(answer === "" || answer.includes("408")).toBe(true);
  });

  it("refuses a head that is too long", async () => {
    const web = httpCache(cacheFor(), {});
    const { port } = await opened(
      createServer(
        serverLimits(),
        web.handler(() => undefined),
      ),
    );
    const answer = await raw(port, `GET / HTTP/1.1\r\nHost: a.example\r\nX-Long: ${"a".repeat(20_000)}\r\n\r\n`);
    expect(answer).toContain("431 Request Header Fields Too Large");
  });

  it.each([
    ["while it is made", "no-store"],
    ["that is stored", "public, max-age=60"],
  ])("cuts one that does not read a body %s", async (_what, cacheControl) => {
    const outcomes: NodeOutcome[] = [];
    const clock = new FakeClock();
    const fields = [["cache-control", cacheControl]] as const;
    const { http } = await engineServers(async () => ({ ...OK, fields, body: endless(48) }), outcomes, clock);
    if (cacheControl !== "no-store") await (await fetch(`http://127.0.0.1:${http}/`)).arrayBuffer();
    const socket = connect(http, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
    socket.pause();
    socket.on("error", () => undefined);
    await until(async () => {
      await clock.advance(1_000);
      return outcomes.some(({ ending }) => ending === "stalled");
    });
    expect(outcomes.filter(({ ending }) => ending === "stalled")).toHaveLength(1);
    socket.destroy();
  });
});

const OK: OriginAnswer = { status: 200, statusText: "OK", fields: [["cache-control", "max-age=60"]], body: null };

/** So many megabytes. */
function endless(megabytes: number): ReadableStream<Uint8Array> {
  let left = megabytes;
  return new ReadableStream({
    pull: (controller) => {
      if (left-- === 0) controller.close();
      else controller.enqueue(new Uint8Array(1_048_576));
    },
  });
}

function cacheFor(): ReturnType<typeof createCache> {
  const cache = createCache({ name: "security", tiers: [memory({ maxBytes: "512mb" })] });
  open.push(cache);
  return cache;
}

async function engineServers(
  send: () => Promise<OriginAnswer>,
  outcomes: NodeOutcome[] = [],
  clock?: FakeClock,
): Promise<{ http: number; http2: number }> {
  const engine = new HttpEngine(cacheFor(), resolveHttpOptions({ shared: true, maxBodyBytes: "64mb" }));
  const listener = (incoming: Parameters<typeof answerNode>[1], outgoing: Parameters<typeof answerNode>[2]): void => {
    const url = new URL(incoming.url ?? "/", "http://a.example");
    const exchange = { url, fields: nodeFields(incoming), send, clock };
    void answerNode(engine, incoming, outgoing, exchange).then((outcome) => outcomes.push(outcome));
  };
  const plain = await opened(createServer(listener));
  const second = createHttp2Server(listener);
  await new Promise<void>((resolve) => second.listen(0, "127.0.0.1", resolve));
  open.push({ close: () => second.close() });
  return { http: plain.port, http2: (second.address() as AddressInfo).port };
}

async function opened(server: Server): Promise<{ port: number }> {
  const started = await listening(server);
  open.push(started);
  return started;
}

function http2Head(port: number): Promise<unknown> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":path": "/" });
    stream
      .on("response", resolve)
      .on("error", reject)
      .on("close", () => session.close())
      .resume();
  });
}

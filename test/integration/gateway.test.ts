import { once } from "node:events";
import { request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";

import type { AccessEntry } from "../../src/gateway/index.js";
import { ask, GatewayWorld, talk, until } from "../support/gateway-world.js";

const world = new GatewayWorld();
afterEach(() => world.end());

/** An origin that says what it was asked, and lets it be kept. */
async function echo(
  cacheControl = "max-age=60",
): Promise<{ url: string; seen: { method: string; url: string; headers: IncomingHttpHeaders; body: string }[] }> {
  const seen: { method: string; url: string; headers: IncomingHttpHeaders; body: string }[] = [];
  const { url } = await world.origin((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const { method = "", url: path = "", headers } = incoming;
      seen.push({ method, url: path, headers, body: Buffer.concat(chunks).toString("latin1") });
      outgoing.setHeader("cache-control", cacheControl);
      outgoing.end(`${method} ${path} ${seen.length}`);
    });
  });
  return { url, seen };
}

describe("a gateway", () => {
  it("answers the second request from the store, with its age, and keeps Date", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url });
    const first = await ask(port, "/a");
    const second = await ask(port, "/a");
    expect(seen).toHaveLength(1);
    expect(second.text).toBe(first.text);
    expect(second.headers.date).toBe(first.headers.date);
    expect(second.headers.age).toBe("0");
    expect(second.headers["cache-status"]).toMatch(/^tiercache;hit;ttl=\d+$/);
  });

  it("keeps hosts apart, and takes the target's authority before Host", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url });
    await ask(port, "/a", { headers: { host: "one.example" } });
    await ask(port, "/a", { headers: { host: "two.example" } });
    const third = await ask(port, "http://one.example/a", { headers: { host: "two.example" } });
    expect(seen.map(({ headers }) => headers.host)).toEqual(["one.example", "two.example"]);
    expect(third.text).toBe("GET /a 1");
  });

  it("does not store for a field what was answered without it, as Connection has named it", async () => {
    const { url } = await world.origin((incoming, outgoing) =>
      outgoing
        .writeHead(200, { "cache-control": "max-age=60", vary: "accept-language" })
        .end(`in ${incoming.headers["accept-language"] ?? "any"}`),
    );
    const { port } = await world.gateway({ origin: url });
    const headers = { "accept-language": "fr" };
    const hidden = await ask(port, "/a", { headers: { ...headers, connection: "close, Accept-Language" } });
    expect([hidden.text, (await ask(port, "/a", { headers })).text]).toEqual(["in any", "in fr"]);
    expect((await ask(port, "/a")).text).toBe("in any");
  });

  it("lets pass what is said from end to end, and nothing of hops", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url });
    const headers = {
      "test-id": "7",
      "if-none-match": '"x"',
      range: "bytes=0-1",
      cookie: "a=b",
      authorization: "Basic eA==",
      accept: "text/x",
      "accept-encoding": "br",
      connection: "keep-alive, x-hop",
      "x-hop": "1",
      te: "trailers",
      "proxy-authorization": "Basic eA==",
    };
    await ask(port, "/a", { headers });
    const { headers: got = {} } = seen[0] ?? {};
    const { connection: _, "x-hop": hop, te, "proxy-authorization": proxy, ...passing } = headers;
    expect(got).toMatchObject(passing);
    expect([hop, te, proxy]).toBeDefined();
    expect([got["x-hop"], got["te"], got["proxy-authorization"]]).toEqual([undefined, undefined, undefined]);
    expect(got.via).toMatch(/^1\.1 tiercache-[\da-f]{8}$/);
  });

  it("has nobody's word for who asks for what, and says it itself", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url });
    const lies = {
      "x-forwarded-for": "6.6.6.6",
      "x-forwarded-host": "evil.example",
      "x-forwarded-proto": "https",
      forwarded: "for=6.6.6.6",
      "x-original-url": "/admin",
      "x-rewrite-url": "/admin",
      x_real_ip: "6.6.6.6",
      "x-http-method-override": "DELETE",
      "x-host": "evil.example",
    };
    await ask(port, "/a", { headers: lies });
    await ask(port, "/b", { headers: lies, method: "POST" });
    const [read, write] = seen;
    expect(JSON.stringify(read)).not.toMatch(/6\.6\.6\.6|evil|admin|DELETE/);
    expect(read?.headers["x-forwarded-for"]).toBe("127.0.0.1");
    expect(read?.headers["x-forwarded-host"]).toBe(`127.0.0.1:${port}`);
    expect(read?.headers["x-forwarded-proto"]).toBe("http");
    expect(write?.headers["x-http-method-override"]).toBe("DELETE");
  });

  it("adds to what a trusted proxy says", async () => {
    const { url, seen } = await echo();
    const entries: AccessEntry[] = [];
    const { port } = await world.gateway(
      { origin: url, trustedProxies: ["127.0.0.0/8"], accessLog: true },
      { log: (entry) => entries.push(entry) },
    );
    const headers = {
      "x-forwarded-for": "6.6.6.6, 7.7.7.7",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "b.example",
      host: "a.example",
    };
    await ask(port, "/a", { headers });
    expect(seen[0]?.headers["x-forwarded-for"]).toBe("6.6.6.6, 7.7.7.7, 127.0.0.1");
    expect(seen[0]?.headers["x-forwarded-proto"]).toBe("https");
    expect(seen[0]?.headers["x-forwarded-host"]).toBe("a.example");
    await until("the entry", () => entries.length === 1);
    expect(entries[0]?.client).toBe("7.7.7.7");
  });

  it("resolves a path once: what it matches, keeps and forwards is one and the same", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url });
    for (const path of ["/x/y", "/x/./z/../y", "/x/%79", "/x/%2e%2E/x/y"]) await ask(port, path);
    expect(seen.map((one) => one.url)).toEqual(["/x/y"]);
    await ask(port, "/x%2fy");
    expect(seen.at(-1)?.url).toBe("/x%2Fy");
  });

  it("knows a request that it has forwarded before", async () => {
    let gatewayPort = 0;
    const { url } = await world.origin((incoming, outgoing) => {
      ask(gatewayPort, incoming.url ?? "/", { headers: { via: String(incoming.headers.via) } }).then(
        ({ status, headers }) => outgoing.writeHead(status, { "proxy-status": String(headers["proxy-status"]) }).end(),
        () => outgoing.destroy(),
      );
    });
    gatewayPort = (await world.gateway({ origin: url })).port;
    const { status, headers } = await ask(gatewayPort, "/a");
    expect(status).toBe(502);
    expect(headers["proxy-status"]).toContain("error=proxy_loop_detected");
  });

  it("goes past the cache for a secret in the query, and does not log it", async () => {
    const { url, seen } = await echo();
    const entries: AccessEntry[] = [];
    const { port } = await world.gateway({ origin: url, accessLog: true }, { log: (entry) => entries.push(entry) });
    for (let times = 0; times < 2; times++) await ask(port, "/a?b=1&Token=hidden3");
    expect(seen.map((one) => one.url)).toEqual(["/a?b=1&Token=hidden3", "/a?b=1&Token=hidden3"]);
    await ask(port, "/b", { headers: { cookie: "c=hidden1", authorization: "Bearer hidden2" } });
    await until("the entries", () => entries.length === 3);
    expect(JSON.stringify(entries)).not.toContain("hidden");
    expect(entries[0]).toMatchObject({
      path: "/a?b=1&Token=***",
      status: 200,
      ending: "whole",
      bytes: "GET /a?b=1&Token=hidden3 1".length,
    });
  });

  it("logs what it refuses, and no password in it", async () => {
    const { url } = await echo();
    const entries: AccessEntry[] = [];
    const { port } = await world.gateway({ origin: url, accessLog: true }, { log: (entry) => entries.push(entry) });
    await talk(port, "GET http://me:hidden@a/?token=hidden HTTP/1.1\r\nhost: a\r\n\r\n");
    await until("the entry", () => entries.length === 1);
    expect(entries[0]).toMatchObject({ path: "http://***@a/?token=***", status: 400, ending: "failed" });
  });

  it("passes uploads at the origin's pace, of any method, and drops trailers", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url });
    const heard = await talk(
      port,
      "PATCH /up HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-t: 1\r\n\r\n",
    );
    expect(heard).toContain("200 OK");
    expect(seen[0]).toMatchObject({ method: "PATCH", body: "abcde" });
    expect(JSON.stringify(seen[0])).not.toContain("x-t");
    for (const method of ["PUT", "DELETE", "OPTIONS", "PROPFIND"]) {
      const got = await ask(port, "/up", { method, body: "xyz", headers: { "content-length": "3" } });
      expect([got.status, seen.at(-1)?.method, seen.at(-1)?.body]).toEqual([200, method, "xyz"]);
    }
  });

  it("stops reading an upload that its origin does not read", async () => {
    let release = (): void => undefined;
    const { url } = await world.origin((incoming, outgoing) => {
      if (incoming.url !== "/up") return void outgoing.end("here");
      release = () => incoming.resume();
      incoming.on("end", () => outgoing.end("done"));
    });
    const { port } = await world.gateway({ origin: url });
    const size = 64 * 1_048_576;
    const socket = connect(port, "127.0.0.1");
    let heard = "";
    socket.on("data", (chunk) => (heard += chunk.toString("latin1")));
    socket.write(`POST /up HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${size}\r\n\r\n`);
    const chunk = Buffer.alloc(1_048_576);
    let sent = 0;
    const pump = (): void => {
      while (sent < size && socket.write(chunk, () => undefined)) sent += chunk.length;
      if (sent < size) sent += chunk.length;
    };
    socket.on("drain", pump);
    pump();
    let last = -1;
    await until("no more being taken", async () => {
      const now = sent;
      const isStill = now === last;
      last = now;
      // Time for whoever would take more: requests all the way through the same processes.
      for (let index = 0; index < 10; index++) await ask(port, `/${now}/${index}`);
      return isStill;
    });
    expect(sent).toBeLessThan(size / 2);
    release();
    await once(socket, "close");
    expect(heard).toContain("done");
  });

  it("gives the answer of an origin that has not read the upload, and the client its connection", async () => {
    const { url } = await world.origin((_incoming, outgoing) =>
      outgoing.writeHead(413, { connection: "close" }).end("too much"),
    );
    const { port } = await world.gateway({ origin: url });
    const outgoing = request({ port, host: "127.0.0.1", method: "POST", headers: { "content-length": "1000000" } });
    outgoing.on("error", () => undefined);
    outgoing.write("some");
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    expect(incoming.statusCode).toBe(413);
    outgoing.destroy();
  });

  it("says 100 before an upload that waits for it", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url });
    const outgoing = request({
      port,
      host: "127.0.0.1",
      method: "POST",
      headers: { expect: "100-continue", "content-length": "3" },
    });
    outgoing.flushHeaders();
    await once(outgoing, "continue");
    outgoing.end("abc");
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    incoming.resume();
    expect([incoming.statusCode, seen[0]?.body, seen[0]?.headers.expect]).toEqual([200, "abc", undefined]);
  });

  it("passes events as they come, each to whoever asked, and ends the origin's work with the client", async () => {
    const streams: { write: (text: string) => void; closed: boolean }[] = [];
    const { url } = await world.origin((_incoming, outgoing) => {
      const stream = { write: (text: string) => void outgoing.write(text), closed: false };
      outgoing.on("close", () => (stream.closed = true));
      outgoing.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      streams.push(stream);
    });
    const { port } = await world.gateway({ origin: url });
    const clients = await Promise.all(
      [1, 2].map(async () => {
        const outgoing = request({ port, host: "127.0.0.1", path: "/events", agent: false });
        outgoing.end();
        const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
        return incoming;
      }),
    );
    expect(streams).toHaveLength(2);
    for (const [index, stream] of streams.entries()) stream.write(`data: ${index}\n\n`);
    const events = await Promise.all(clients.map(async (client) => String((await once(client, "data"))[0])));
    expect(events.sort()).toEqual(["data: 0\n\n", "data: 1\n\n"]);
    for (const client of clients) client.destroy();
    await until("the origin to hear", () => streams.every(({ closed }) => closed));
  });

  it("passes early hints to the client that waits", async () => {
    const { url } = await world.origin((_incoming, outgoing) => {
      outgoing.writeEarlyHints({ link: "</a.css>; rel=preload; as=style" }, () => outgoing.end("body"));
    });
    const { port } = await world.gateway({ origin: url });
    const outgoing = request({ port, host: "127.0.0.1" });
    const hints: unknown[] = [];
    outgoing.on("information", ({ statusCode, headers }) => hints.push([statusCode, headers["link"]]));
    outgoing.end();
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    incoming.resume();
    expect(hints).toEqual([[103, "</a.css>; rel=preload; as=style"]]);
  });

  it("asks an origin once for a crowd", async () => {
    let asked = 0;
    const { url } = await world.origin((_incoming, outgoing) => {
      asked += 1;
      setImmediate(() => outgoing.writeHead(200, { "cache-control": "max-age=60" }).end("one"));
    });
    const { port } = await world.gateway({ origin: url });
    const got = await Promise.all(Array.from({ length: 50 }, () => ask(port, "/crowd")));
    expect([asked, new Set(got.map(({ text }) => text))]).toEqual([1, new Set(["one"])]);
  });

  it("reads with a body go past the cache, on a connection that nothing follows on", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url });
    for (let times = 0; times < 2; times++) await ask(port, "/a", { body: "q", headers: { "content-length": "1" } });
    expect(seen.map(({ body, headers }) => [body, headers.connection])).toEqual([
      ["q", "close"],
      ["q", "close"],
    ]);
  });
});

describe("what a gateway refuses", () => {
  const head = "host: a\r\nconnection: close\r\n";
  it.each([
    [
      "Content-Length and Transfer-Encoding",
      `POST / HTTP/1.1\r\n${head}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["two lengths", `POST / HTTP/1.1\r\n${head}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`, 400],
    ["two equal lengths", `POST / HTTP/1.1\r\n${head}content-length: 3\r\ncontent-length: 3\r\n\r\nabc`, 400],
    ["a length that is none", `POST / HTTP/1.1\r\n${head}content-length: +3\r\n\r\nabc`, 400],
    ["another coding", `POST / HTTP/1.1\r\n${head}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
    ["a disguised coding", `POST / HTTP/1.1\r\n${head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a coding in HTTP/1.0", `POST / HTTP/1.0\r\n${head}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a read with a body of no length", `GET / HTTP/1.1\r\n${head}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a folded field", `GET / HTTP/1.1\r\n${head}x: a\r\n b\r\n\r\n`, 400],
    ["a bare line feed", `GET / HTTP/1.1\nhost: a\n\n`, 400],
    ["no Host", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n", 400],
    ["two Hosts", `GET / HTTP/1.1\r\n${head}host: b\r\n\r\n`, 400],
    ["a Host that is none", "GET / HTTP/1.1\r\nhost: a/b@c\r\nconnection: close\r\n\r\n", 400],
    ["TRACE", `TRACE / HTTP/1.1\r\n${head}\r\n`, 405],
    ["CONNECT", `CONNECT a:443 HTTP/1.1\r\n${head}\r\n`, 405],
    ["a backslash", `GET /a\\..\\b HTTP/1.1\r\n${head}\r\n`, 400],
    ["an authority for a target", `GET //a@b HTTP/1.1\r\nhost: a:b\r\nconnection: close\r\n\r\n`, 400],
    ["a scheme that its connection has not", `GET https://a/ HTTP/1.1\r\n${head}\r\n`, 421],
    ["another scheme", `GET ftp://a/ HTTP/1.1\r\n${head}\r\n`, 400],
    ["an upgrade to something else", `GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n`, 400],
    ["too many fields", `GET / HTTP/1.1\r\n${head}${"x: y\r\n".repeat(100)}\r\n`, 431],
    ["a head too long", `GET / HTTP/1.1\r\n${head}x: ${"y".repeat(17_000)}\r\n\r\n`, 431],
    ["a target too long", `GET /${"y".repeat(8_500)} HTTP/1.1\r\n${head}\r\n`, 414],
    ["a body too long", `POST / HTTP/1.1\r\n${head}content-length: 1001\r\n\r\n`, 413],
    [
      "a body that turns out too long",
      `POST / HTTP/1.1\r\n${head}transfer-encoding: chunked\r\n\r\n3e9\r\n${"x".repeat(1_001)}\r\n0\r\n\r\n`,
      413,
    ],
  ])("%s", async (_what, said, status) => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url, limits: { bodyBytes: 1_000 } });
    const heard = await talk(port, said);
    expect(heard).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(seen).toHaveLength(0);
  });

  it("hosts that are not served", async () => {
    const { url, seen } = await echo();
    const { port } = await world.gateway({ origin: url, hosts: ["a.example", "*.b.example"] });
    const statuses: number[] = [];
    for (const host of ["a.example:80", "x.b.example", "b.example", "evil.example"]) {
      statuses.push((await ask(port, "/", { headers: { host } })).status);
    }
    expect([statuses, seen.length]).toEqual([[200, 200, 421, 421], 2]);
  });

  it("clients that are slow with a head, or with a body", async () => {
    const { url } = await echo();
    const { port } = await world.gateway({ origin: url, limits: { headersTimeout: 200, bodyTimeout: 200 } });
    const [head, body] = await Promise.all([
      talk(port, "GET / HTTP/1.1\r\nhost: a\r\n"),
      talk(port, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab"),
    ]);
    expect([head.slice(9, 12), body.slice(9, 12)]).toEqual(["408", "408"]);
  });

  it("clients that do not read", async () => {
    const { url } = await world.origin((_incoming, outgoing) => {
      outgoing.on("error", () => undefined);
      outgoing.writeHead(200);
      const pump = (): void => {
        while (!outgoing.destroyed && outgoing.write(Buffer.alloc(65_536)));
      };
      outgoing.on("drain", pump);
      pump();
    });
    const { port, gateway } = await world.gateway({ origin: url, limits: { stallTimeout: 200 } });
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await until("it to be cut", () => gateway.stats().gone === 1);
    expect(gateway.stats().active).toBe(0);
    socket.destroy();
  });
});

describe("rules", () => {
  it("of routes: their origins, keys, fields and times", async () => {
    const api = await echo("");
    const pages = await echo();
    const { port } = await world.gateway({
      origins: { default: { urls: [pages.url] }, api: { urls: [api.url], host: "own" } },
      routes: [
        {
          path: "/api",
          origin: "api",
          ttl: { default: "1m" },
          query: { without: ["utm_*"], sort: true },
          requestHeaders: { remove: ["cookie"], set: { "x-from": "gateway" } },
          responseHeaders: { set: { "x-served": "yes" } },
        },
        { path: "/live", cache: false },
      ],
    });
    const first = await ask(port, "/api/x?b=2&utm_source=q&a=1", { headers: { cookie: "a=1" } });
    const second = await ask(port, "/api/x?a=1&b=2&utm_medium=z");
    expect(api.seen.map((one) => one.url)).toEqual(["/api/x?a=1&b=2"]);
    expect(api.seen[0]?.headers).toMatchObject({ "x-from": "gateway", host: new URL(api.url).host });
    expect(api.seen[0]?.headers.cookie).toBeUndefined();
    expect([first.headers["x-served"], second.headers["x-served"]]).toEqual(["yes", "yes"]);
    expect(second.headers["cache-status"]).toContain("hit");
    // What the cache is told by the rules is for nobody else.
    expect(JSON.stringify(second.rawHeaders)).not.toContain("rule");
    await ask(port, "/apix");
    for (let times = 0; times < 2; times++) await ask(port, "/live/x");
    expect(pages.seen.map((one) => one.url)).toEqual(["/apix", "/live/x", "/live/x"]);
  });

  it("of times never keep what is private or sets a cookie", async () => {
    let asked = 0;
    const { url } = await world.origin((incoming, outgoing) => {
      asked += 1;
      if (incoming.url === "/cookie") outgoing.setHeader("set-cookie", "a=b");
      else outgoing.setHeader("cache-control", "private");
      outgoing.end();
    });
    const { port } = await world.gateway({ origin: url, routes: [{ ttl: { override: "1h" } }] });
    for (const path of ["/cookie", "/cookie", "/private", "/private"]) await ask(port, path);
    expect(asked).toBe(4);
  });
});

describe("the admin port", () => {
  const token = "0123456789abcdef";

  it("purges by tag, URL and prefix, softly and hard, for whoever has the token", async () => {
    let asked = 0;
    const { url } = await world.origin((_incoming, outgoing) => {
      asked += 1;
      outgoing
        .writeHead(200, { "cache-control": "max-age=60, stale-while-revalidate=60", "surrogate-key": "t" })
        .end(String(asked));
    });
    const { port, adminPort } = await world.gateway({ origin: url, admin: { port: 0, token } });
    const headers = { authorization: `Bearer ${token}` };
    const post = (body: unknown, own: Record<string, string> = headers) =>
      ask(adminPort, "/purge", { method: "POST", headers: own, body: JSON.stringify(body) });
    await ask(port, "/a/b");
    expect((await post({ tag: "t" }, {})).status).toBe(401);
    expect((await post({ tag: "t" }, { authorization: "Bearer no" })).status).toBe(401);
    expect((await post({ tga: "t" })).status).toBe(400);
    expect((await post({ tag: "t".repeat(2 * 1_048_576) })).status).toBe(413);
    expect((await ask(port, "/a/b")).text).toBe("1");
    for (const target of [
      { tag: "t" },
      { url: `http://127.0.0.1:${port}/a/b` },
      { prefix: `http://127.0.0.1:${port}/a` },
    ]) {
      const before = asked;
      expect((await post(target)).status).toBe(200);
      expect((await ask(port, "/a/b")).text).toBe(String(before + 1));
    }
    await post({ tag: "t", mode: "soft" });
    expect((await ask(port, "/a/b")).text).toBe(String(4));
    await until("it to be revalidated", () => asked === 5);
  });

  it("tells health, readiness and figures, and has room for others", async () => {
    const { url } = await echo();
    const { port, adminPort, gateway } = await world.gateway({ origin: url, admin: { port: 0 } });
    gateway.mount("/mounted", (incoming, outgoing) => outgoing.end(`mounted ${incoming.url}`));
    await ask(port, "/a");
    await ask(port, "/a");
    expect((await ask(adminPort, "/health")).status).toBe(200);
    expect((await ask(adminPort, "/ready")).status).toBe(200);
    expect(JSON.parse((await ask(adminPort, "/stats")).text)).toMatchObject({
      requests: 2,
      hits: 1,
      statuses: { "2xx": 2 },
    });
    expect((await ask(adminPort, "/mounted/x?y")).text).toBe("mounted /mounted/x?y");
    expect((await ask(adminPort, "/mountedx")).status).toBe(404);
    expect((await ask(adminPort, "/reload", { method: "POST" })).status).toBe(403);
  });
});

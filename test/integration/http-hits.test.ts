import { once } from "node:events";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo } from "node:net";

import { afterEach, describe, expect, it } from "vitest";

import { createCache } from "../../src/index.js";
import { httpCache } from "../../src/http/node/http-cache.js";
import { FakeClock } from "../../src/testing/index.js";

/* What goes over the wire for a hit, byte by byte: the head as Node writes it, whichever way it was written. */

const HEAD = { "content-type": "text/plain", "cache-control": "public, max-age=600", etag: '"v1"' };
const TEXT = "hällo wörld\n";

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

interface Site {
  readonly port: number;
  readonly server: Server;
  readonly runs: () => number;
}

async function site(
  body: string | Uint8Array,
  around?: (listener: RequestListener) => RequestListener,
  status = 200,
): Promise<Site> {
  let runs = 0;
  const web = httpCache(createCache({ name: "hits" }), { clock: new FakeClock() });
  const handler = web.handler((_incoming, outgoing) => {
    runs += 1;
    outgoing.writeHead(status, HEAD).end(body);
  });
  const server = createServer(around === undefined ? handler : around(handler));
  server.keepAliveTimeout = 7_000;
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { port: (server.address() as AddressInfo).port, server, runs: () => runs };
}

const PLAIN = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const LAST = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

/** All that a connection says to these requests, sent at once; the last of them ends it. */
async function said(port: number, ...requests: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.setEncoding("latin1").write(requests.join(""));
  let text = "";
  socket.on("data", (chunk: string) => (text += chunk));
  await once(socket, "close");
  return text;
}

/** The answers in what a connection said, their Cache-Status alike. */
function answersOf(text: string): string[] {
  return text
    .split(/(?=HTTP\/1\.1 )/)
    .map((one) => one.replace(/ttl=\d+/, "ttl=*"))
    .filter((one) => one !== "");
}

const BODIES: readonly (readonly [string, string | Uint8Array])[] = [
  ["text", TEXT],
  ["nothing", ""],
  ["bytes", new Uint8Array([0xff, 0, 0xfe, 13, 10])],
  ["long text", "ä".repeat(20_000)],
  ["long bytes", new Uint8Array(20_000).fill(0xff)],
];

describe("a hit on the wire", () => {
  it.each(BODIES)("is the same bytes when Node writes its head and when it is written at once: %s", async (_, body) => {
    const { port, runs } = await site(body);
    await said(port, LAST);
    const [first, ...others] = answersOf(await said(port, PLAIN, PLAIN, PLAIN, LAST));
    const last = others.pop();
    expect(first).toContain("tiercache;hit;ttl=*\r\n");
    expect(first).toContain("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=7\r\n\r\n");
    expect(others).toEqual([first, first]);
    expect(last).toBe(first?.replace("Connection: keep-alive\r\nKeep-Alive: timeout=7", "Connection: close"));
    expect(Buffer.from(first?.split("\r\n\r\n").slice(1).join("\r\n\r\n") ?? "", "latin1")).toEqual(Buffer.from(body));
    expect(runs()).toBe(1);
  });

  it("says how long its own connection may lie idle", async () => {
    const { port, server } = await site(TEXT);
    await said(port, LAST);
    expect((await said(port, PLAIN, LAST)).match(/timeout=\d+/g)).toEqual(["timeout=7"]);
    server.keepAliveTimeout = 3_000;
    expect((await said(port, PLAIN, PLAIN, LAST)).match(/timeout=\d+/g)).toEqual(["timeout=3", "timeout=3"]);
    server.maxRequestsPerSocket = 3;
    // As long as Node leaves a connection open that it has said to close.
    server.keepAliveTimeout = 1_000;
    expect((await said(port, PLAIN, PLAIN, PLAIN)).match(/timeout=.*|: close/g)).toEqual([
      "timeout=1, max=3",
      "timeout=1, max=3",
      ": close",
    ]);
  });

  it("ends the connection of HTTP/1.0, and of a request that is the last", async () => {
    const { port } = await site(TEXT);
    await said(port, LAST);
    await said(port, PLAIN, PLAIN, LAST);
    const old = await said(port, "GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    expect(old).toMatch(/\r\nConnection: close\r\n\r\n/);
  });

  it("waits for its turn behind an answer that is slower", async () => {
    const web = httpCache(createCache({ name: "hits" }));
    const server = createServer(
      web.handler((incoming, outgoing) => {
        if (incoming.url === "/") outgoing.writeHead(200, HEAD).end("quick");
        else setTimeout(() => outgoing.writeHead(200, { "cache-control": "no-store" }).end("slow"), 30);
      }),
    );
    servers.push(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    await said(port, LAST);
    await said(port, PLAIN, PLAIN, LAST);
    const text = await said(port, PLAIN, PLAIN.replace("/", "/slow"), PLAIN, LAST);
    expect(text.match(/quick|slow/g)).toEqual(["quick", "slow", "quick", "quick"]);
  });

  it("keeps the fields that were set before it, and those who have put themselves before the response", async () => {
    const seen: string[] = [];
    const { port } = await site(TEXT, (listener) => (incoming, outgoing) => {
      if (incoming.headers["x-set"] !== undefined) outgoing.setHeader("x-before", "yes").setHeader("etag", '"other"');
      if (incoming.headers["x-watch"] !== undefined) {
        const end = outgoing.end.bind(outgoing) as (...parts: readonly unknown[]) => ServerResponse;
        const watched = (...parts: readonly unknown[]): ServerResponse => {
          seen.push(`${outgoing.statusCode} with ${String(parts[0])}`);
          return end(...parts);
        };
        Object.assign(outgoing, { end: watched });
      }
      listener(incoming, outgoing);
    });
    await said(port, LAST);
    const withField = (line: string): string => PLAIN.replace("\r\n\r\n", `\r\n${line}\r\n\r\n`);
    const answers = answersOf(await said(port, PLAIN, withField("X-Set: 1"), withField("X-Watch: 1"), LAST));
    expect(answers.map((one) => /x-before: yes/.test(one))).toEqual([false, true, false, false]);
    expect(answers[1]?.match(/etag: .*/g)).toEqual(['etag: "v1"']);
    expect(answers.every((one) => one.endsWith(Buffer.from(TEXT).toString("latin1")))).toBe(true);
    expect(seen).toEqual([`200 with ${TEXT}`]);
  });

  it("tells the response that it has been written: status, headersSent, finish and close", async () => {
    const told: unknown[] = [];
    const watched = (listener: RequestListener): RequestListener => {
      return (incoming, outgoing) => {
        outgoing.on("finish", () => told.push(outgoing.statusCode, outgoing.headersSent, outgoing.writableFinished));
        outgoing.on("close", () => told.push("close"));
        listener(incoming, outgoing);
      };
    };
    const { port } = await site(TEXT, watched, 404);
    await said(port, LAST);
    told.length = 0;
    await said(port, PLAIN, PLAIN, LAST);
    const one = [404, true, true, "close"];
    expect(told).toEqual([...one, ...one, ...one]);
  });

  it("answers HEAD, conditions and ranges of the same response between hits", async () => {
    const { port } = await site(TEXT);
    await said(port, LAST);
    const asked = (line: string): string => PLAIN.replace("\r\n\r\n", `\r\n${line}\r\n\r\n`);
    const requests = [PLAIN, asked('If-None-Match: "v1"'), PLAIN, asked("Range: bytes=0-1"), PLAIN, LAST];
    const answers = answersOf(await said(port, ...requests));
    expect(answers.map((one) => one.slice(9, 12))).toEqual(["200", "304", "200", "206", "200", "200"]);
    expect(answers[1]?.endsWith("\r\n\r\n")).toBe(true);
    const head = await said(port, PLAIN, LAST.replace("GET", "HEAD"));
    expect(head.endsWith("\r\n\r\n")).toBe(true);
  });
});

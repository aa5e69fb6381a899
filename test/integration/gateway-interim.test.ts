import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";

import { GatewayWorld, talk } from "../support/gateway-world.js";

/* Interim answers through the gateway (RFC 9110 §15.2); for HTTP/1.1 clients see the rows of `http-conformance.test.ts`. */

const world = new GatewayWorld();
afterEach(() => world.end());

const file = (name: string): string => new URL(`../fixtures/tls/${name}.pem`, import.meta.url).pathname;
const INTERIM =
  "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\nx-a: 1\r\nconstructor: 2\r\n\r\n";

async function origin(): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    incoming.socket.write(INTERIM);
    outgoing.end("body");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(server);
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}
const opened: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of opened.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

describe("interim answers", () => {
  it("reach a client of HTTP/2", async () => {
    const tls = { cert: file("one-cert"), key: file("one-key") };
    const { port } = await world.gateway({ origin: await origin(), listen: { tls } });
    const session = connectHttp2(`https://localhost:${port}`, { ca: await readFile(tls.cert) });
    const stream = session.request({ ":path": "/" });
    const told: unknown[] = [];
    stream.on("headers", (headers) =>
      told.push([":status", "link", "x-a", "constructor"].map((name) => headers[name])),
    );
    const [head] = (await once(stream, "response")) as [Record<string, unknown>];
    stream.resume();
    await once(stream, "end");
    session.close();
    expect(told).toEqual([
      [102, undefined, undefined, undefined],
      [103, "</a>, </b>", "1", "2"],
    ]);
    expect(head[":status"]).toBe(200);
  });

  it("do not reach a client of HTTP/1.0, which knows of none", async () => {
    const { port } = await world.gateway({ origin: await origin() });
    const heard = await talk(port, "GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    expect(heard).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(heard).toMatch(/body$/);
  });
});

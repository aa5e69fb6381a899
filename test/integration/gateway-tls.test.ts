import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { request } from "node:https";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

import { ask, GatewayWorld, talk, until } from "../support/gateway-world.js";

const world = new GatewayWorld();
afterEach(() => world.end());

const file = (name: string): string => new URL(`../fixtures/tls/${name}.pem`, import.meta.url).pathname;
const tls = { cert: file("one-cert"), key: file("one-key") };

async function trusted(name: "one" | "two" = "one"): Promise<{ ca: Buffer }> {
  return { ca: await readFile(file(`${name}-cert`)) };
}

async function asked2(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body?: string,
): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
  const stream = session.request({ ":path": "/", ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  let text = "";
  stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const [got] = (await once(stream, "response")) as [Record<string, unknown>];
  await once(stream, "end");
  return { status: Number(got[":status"]), headers: got, text };
}

describe("a gateway with TLS", () => {
  it("speaks HTTP/2 and HTTP/1.1 on one port, and both find the same responses", async () => {
    const asked: string[] = [];
    const { url } = await world.origin((incoming, outgoing) => {
      asked.push(
        `${incoming.method} ${incoming.headers.host} ${String(incoming.headers["x-forwarded-proto"])} ${incoming.headers.via}`,
      );
      incoming.resume();
      incoming.on("end", () =>
        outgoing.writeHead(200, { "cache-control": "max-age=60", connection: "keep-alive" }).end("body"),
      );
    });
    const { port } = await world.gateway({ origin: url, listen: { tls } });
    const session = connectHttp2(`https://localhost:${port}`, await trusted());
    const first = await asked2(session, { ":path": "/a" });
    const posted = await asked2(session, { ":path": "/b", ":method": "POST" }, "upload");
    session.close();
    const outgoing = request({ host: "localhost", port, path: "/a", ...(await trusted()) });
    outgoing.end();
    const [second] = (await once(outgoing, "response")) as [IncomingMessage];
    second.resume();
    expect([first.status, first.text, posted.status]).toEqual([200, "body", 200]);
    expect([second.httpVersion, second.headers["cache-status"]]).toEqual(["1.1", expect.stringContaining("hit")]);
    expect(asked).toEqual([
      expect.stringMatching(`^GET localhost:${port} https 2.0 tiercache-`),
      expect.stringMatching(`^POST localhost:${port} https 2.0 tiercache-`),
    ]);
  });

  it("answers by a new certificate after a reload, and breaks no connection for it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tiercache-gateway-tls-"));
    const own = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    const use = async (name: string): Promise<void> => {
      await copyFile(file(`${name}-cert`), own.cert);
      await copyFile(file(`${name}-key`), own.key);
    };
    await use("one");
    const { url } = await world.origin((_incoming, outgoing) => outgoing.end("body"));
    const { port, gateway } = await world.gateway({ origin: url, listen: { tls: own } });
    const session = connectHttp2(`https://localhost:${port}`, await trusted("one"));
    await asked2(session, {});
    await use("two");
    await gateway.reload();
    expect((await asked2(session, {})).status).toBe(200);
    session.close();
    const again = connectHttp2(`https://localhost:${port}`, await trusted("two"));
    expect((await asked2(again, {})).status).toBe(200);
    again.close();
    await rm(folder, { recursive: true });
  });

  it("goes on as before when the new certificate and its key do not belong together", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tiercache-gateway-tls-"));
    const own = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    await copyFile(file("one-cert"), own.cert);
    await copyFile(file("one-key"), own.key);
    const { url } = await world.origin((_incoming, outgoing) => outgoing.end("body"));
    const other = await world.origin((_incoming, outgoing) => outgoing.end("other"));
    const { port, gateway } = await world.gateway({ origin: url, listen: { tls: own } });
    await copyFile(file("two-key"), own.key);
    const next = { origin: other.url, listen: { port: 0, tls: own }, limits: { shutdownTimeout: 500 } };
    await expect(gateway.reload(next)).rejects.toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining("`listen.tls`"),
    });
    const session = connectHttp2(`https://localhost:${port}`, await trusted("one"));
    expect((await asked2(session, {})).text).toBe("body");
    session.close();
    await rm(folder, { recursive: true });
  });

  it("refuses CONNECT over HTTP/2, and a Host that is not the authority", async () => {
    const { url } = await world.origin((_incoming, outgoing) => outgoing.end("body"));
    const { port } = await world.gateway({ origin: url, listen: { tls } });
    const session = connectHttp2(`https://localhost:${port}`, await trusted());
    const tunnel = session.request({ ":method": "CONNECT", ":authority": "elsewhere.example:443" });
    tunnel.resume();
    const [refused] = (await once(tunnel, "response")) as [Record<string, unknown>];
    tunnel.close();
    expect(refused[":status"]).toBe(405);
    expect((await asked2(session, { ":authority": "a.example", host: "b.example" })).status).toBe(400);
    expect((await asked2(session, { ":authority": "a.example", host: "a.example" })).status).toBe(200);
    session.close();
  });

  it("cuts a client that is slow with its head there as well", async () => {
    const { url } = await world.origin((_incoming, outgoing) => outgoing.end());
    const { port } = await world.gateway({ origin: url, listen: { tls }, limits: { headersTimeout: 300 } });
    const socket: TLSSocket = connectTls({
      port,
      host: "localhost",
      ...(await trusted()),
      ALPNProtocols: ["http/1.1"],
    });
    socket.write("GET / HTTP/1.1\r\nhost: a\r\n");
    let heard = "";
    socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    await once(socket, "close");
    expect(heard === "" || heard.startsWith("HTTP/1.1 408")).toBe(true);
  });

  it("asks an origin with TLS whose certificate it is told to trust, and no other", async () => {
    const { url: plain } = await world.origin((_incoming, outgoing) => outgoing.end("through both"));
    const inner = await world.gateway({ origin: plain, listen: { tls }, name: "inner" });
    const secure = inner.url.replace("127.0.0.1", "localhost");
    const trusting = await world.gateway({ origins: { default: { urls: [secure], ca: tls.cert } } });
    const wary = await world.gateway({ origins: { default: { urls: [secure] } } });
    // Whatever Host the client says, the certificate is the origin's own.
    expect((await ask(trusting.port, "/", { headers: { host: "other.example" } })).text).toBe("through both");
    const refused = await ask(wary.port, "/");
    expect([refused.status, refused.headers["proxy-status"]]).toEqual([502, "tiercache;error=tls_certificate_error"]);
  });

  it("trusts what the file of an origin's certificates holds after a reload", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tiercache-gateway-tls-"));
    const ca = join(folder, "ca.pem");
    await copyFile(file("two-cert"), ca);
    const { url: plain } = await world.origin((_incoming, outgoing) => outgoing.end("through both"));
    const inner = await world.gateway({ origin: plain, listen: { tls }, name: "inner" });
    const urls = [inner.url.replace("127.0.0.1", "localhost")];
    const { port, gateway } = await world.gateway({ origins: { default: { urls, ca } } });
    expect((await ask(port, "/")).status).toBe(502);
    await copyFile(tls.cert, ca);
    await gateway.reload();
    expect((await ask(port, "/")).text).toBe("through both");
    await rm(folder, { recursive: true });
  });
});

describe("WebSockets", () => {
  const sockets = async (): Promise<{ url: string; seen: IncomingMessage[] }> => {
    const seen: IncomingMessage[] = [];
    const { url, server } = await world.origin((_incoming, outgoing) => outgoing.writeHead(403).end("no socket here"));
    const sockets = new WebSocketServer({ noServer: true });
    server.on("upgrade", (incoming, socket, head) => {
      seen.push(incoming);
      if (incoming.url === "/refused") return void socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
      sockets.handleUpgrade(incoming, socket, head, (client) => {
        client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
        client.on("close", () => seen.push(incoming));
      });
    });
    return { url, seen };
  };

  it.each(["ws", "wss"])("pass, %s", async (scheme) => {
    const { url, seen } = await sockets();
    const { port, gateway } = await world.gateway({ origin: url, ...(scheme === "wss" ? { listen: { tls } } : {}) });
    const client = new WebSocket(`${scheme}://localhost:${port}/chat?x=1`, ["proto"], {
      ...(await trusted()),
      headers: { cookie: "a=b", "x-forwarded-for": "6.6.6.6" },
    });
    await once(client, "open");
    client.send("hello");
    expect(String((await once(client, "message"))[0])).toBe("hello");
    client.send(Buffer.alloc(300_000, "y"));
    expect(((await once(client, "message"))[0] as Buffer).length).toBe(300_000);
    expect(seen[0]?.headers).toMatchObject({
      cookie: "a=b",
      "sec-websocket-protocol": "proto",
      "x-forwarded-for": "127.0.0.1",
    });
    expect([seen[0]?.url, gateway.stats().upgrades]).toEqual(["/chat?x=1", 1]);
    client.close();
    await until("the origin to hear", () => seen.length === 2);
    await until("it to be over", () => gateway.stats().active === 0);
  });

  it("are answered as the origin answers when it refuses, or is not there", async () => {
    const { url } = await sockets();
    const { port } = await world.gateway({ origin: url });
    const refused = new WebSocket(`ws://localhost:${port}/refused`);
    const [, response] = (await once(refused, "unexpected-response")) as [unknown, IncomingMessage];
    expect(response.statusCode).toBe(403);
    refused.on("error", () => undefined);
    refused.terminate();
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port: dead } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const { port: other } = await world.gateway({ origin: `http://127.0.0.1:${dead}` });
    const gone = new WebSocket(`ws://localhost:${other}/`);
    const [, failed] = (await once(gone, "unexpected-response")) as [unknown, IncomingMessage];
    expect(failed.statusCode).toBe(502);
    gone.on("error", () => undefined);
    gone.terminate();
  });

  it("leave nothing open to what follows a handshake that failed", async () => {
    const { url, seen } = await sockets();
    const { port } = await world.gateway({ origin: url });
    const handshake =
      "GET /refused HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const heard = await talk(port, `${handshake}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n`);
    expect(heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(heard).toMatch(/^HTTP\/1\.1 403/);
    expect(seen.map((incoming) => incoming.url)).toEqual(["/refused"]);
    const wrong = await talk(port, handshake.replace("version: 13", "version: 12"));
    expect(wrong).toMatch(/^HTTP\/1\.1 426/);
  });
});

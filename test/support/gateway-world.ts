import { once } from "node:events";
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from "node:http";
import {
  connect,
  createServer as createRawServer,
  type AddressInfo,
  type Server as RawServer,
  type Socket,
} from "node:net";

import { createGateway, type Gateway, type GatewayConfig, type GatewayOptions } from "../../src/gateway/index.js";

/** What a test has started, in the order in which it was. */
export class GatewayWorld {
  readonly #ends: (() => Promise<void>)[] = [];

  /** An origin; requests come to `handler`. */
  async origin(handler: RequestListener): Promise<{ url: string; server: Server; port: number }> {
    const server = createServer(handler);
    return { server, ...(await this.#listen(server)) };
  }

  /** An origin that may say what it likes: it gets each connection's first bytes. */
  async rawOrigin(handler: (socket: Socket, head: string) => void): Promise<{ url: string; port: number }> {
    const server = createRawServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => handler(socket, chunk.toString("latin1")));
    });
    return this.#listen(server);
  }

  async gateway(
    config: GatewayConfig,
    options: GatewayOptions = {},
  ): Promise<{ gateway: Gateway; url: string; port: number; adminPort: number }> {
    const listen = { port: 0, ...config.listen };
    const limits = { shutdownTimeout: 500, ...config.limits };
    const gateway = createGateway({ ...config, listen, limits }, options);
    this.#ends.push(() => gateway.stop());
    const { url, port, adminPort = 0 } = await gateway.start();
    return { gateway, url, port, adminPort };
  }

  /** Ends all of it, the last first. */
  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }

  async #listen(server: Server | RawServer): Promise<{ url: string; port: number }> {
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    this.#ends.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return { url: `http://127.0.0.1:${port}`, port };
  }
}

export interface Got {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly rawHeaders: readonly string[];
  readonly text: string;
  /** The body ended as it should. */
  readonly whole: boolean;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Uint8Array;
}

/** A request as it is said, its path included: `fetch` would put that in order first. */
export async function ask(
  port: number,
  path: string,
  { method = "GET", headers = {}, body }: Asking = {},
): Promise<Got> {
  const outgoing = request({ port, host: "127.0.0.1", path, method, headers, agent: false });
  outgoing.end(body);
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
  incoming.on("error", () => undefined);
  // One that is cut off ends with an error before.
  await new Promise((resolve) => incoming.once("close", resolve));
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    rawHeaders: incoming.rawHeaders,
    text: Buffer.concat(chunks).toString("latin1"),
    whole: incoming.complete,
  };
}

/** Says `text` on a connection of its own, and gives what comes until the other side ends it. */
export async function talk(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let heard = "";
  socket.on("data", (chunk) => (heard += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  socket.write(text, "latin1");
  await new Promise((resolve) => socket.once("close", resolve));
  return heard;
}

/** Waits until something holds; fails after a while. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Not within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";

import type { Clock, Timer } from "../clock.js";
import { CacheError } from "../errors.js";
import type { NodeRequest, NodeResponse } from "../http/node/answer.js";
import type { ResolvedLimits, ResolvedListen } from "./resolve-config.js";

/** A certificate and its key, as PEM. */
export interface Certificate {
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
}

/** What is done with what comes in. None of them rejects or throws. */
export interface Handlers {
  readonly request: (incoming: NodeRequest, outgoing: NodeResponse, expectsContinue: boolean) => void;
  readonly upgrade: (incoming: IncomingMessage, socket: Duplex, head: Uint8Array) => void;
}

/** Streams of one HTTP/2 connection at once. */
const MOST_STREAMS = 128;
/** How often connections that have become idle are looked for, while closing. */
const IDLE_CHECK = 50;

/** The port that clients connect to. */
export class Listener {
  readonly #listen: ResolvedListen;
  readonly #server: Server | Http2SecureServer;
  readonly #clock: Clock;
  readonly #heads: HeadTimes | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(
    listen: ResolvedListen,
    limits: ResolvedLimits,
    certificate: Certificate | undefined,
    handlers: Handlers,
    clock: Clock,
  ) {
    this.#listen = listen;
    this.#clock = clock;
    this.#server = serverFor(listen, limits, certificate);
    const server: Server = this.#server as Server;
    const heads = listen.http2 && certificate !== undefined ? new HeadTimes(clock) : undefined;
    this.#heads = heads;
    server.on("request", (incoming, outgoing) => {
      heads?.came(incoming, outgoing);
      handlers.request(incoming, outgoing, false);
    });
    server.on("checkContinue", (incoming, outgoing) => {
      heads?.came(incoming, outgoing);
      handlers.request(incoming, outgoing, true);
    });
    server.on("upgrade", (incoming, socket, head) => {
      heads?.came(incoming, undefined);
      handlers.upgrade(incoming, socket, head);
    });
    if (heads !== undefined) server.on("secureConnection", (socket: TLSSocket) => heads.connected(socket));
    // Without this one Node ends the connection without a word.
    server.on("connect", (incoming, socket) => {
      // Of HTTP/2 Node gives a response here.
      if (incoming.httpVersionMajor >= 2) (socket as unknown as Http2ServerResponse).writeHead(405).end();
      else socket.end("HTTP/1.1 405 Method Not Allowed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    });
    server.on("connection", (socket: Socket) => this.#hold(socket));
    this.#server.on("session", (session: ServerHttp2Session) => this.#holdSession(session, limits));
    this.setLimits(limits);
  }

  /** @throws CacheError `ERR_CACHE_OPTION` when the port cannot be had. */
  async open(): Promise<AddressInfo> {
    const server = this.#server;
    const { port, host } = this.#listen;
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: Error): void =>
        reject(
          new CacheError(
            "ERR_CACHE_OPTION",
            `Expected \`listen\` to be free, got \`${host}:${port}\` (${cause.message})`,
            { cause },
          ),
        );
      server.once("error", failed);
      server.listen({ port, host: host === "localhost" ? undefined : host }, () => {
        server.off("error", failed);
        resolve();
      });
    });
    return server.address() as AddressInfo;
  }

  /** Of connections from now on. */
  setLimits(limits: ResolvedLimits): void {
    const server = this.#server as Server;
    this.#heads?.setLimits(limits);
    server.headersTimeout = limits.headersTimeout;
    // A long upload is none that hangs: its silence is measured where it is read.
    server.requestTimeout = 0;
    server.keepAliveTimeout = limits.keepAliveTimeout;
    // Node leaves away what is above; they are counted, and refused, where they are read.
    server.maxHeadersCount = 0;
    server.maxConnections = limits.connections;
  }

  /** Of connections from now on. */
  setCertificate(certificate: Certificate): void {
    if ("setSecureContext" in this.#server) {
      this.#server.setSecureContext({ cert: asBuffer(certificate.cert), key: asBuffer(certificate.key) });
    }
  }

  /** Takes no more connections, lets requests end, and after `grace` milliseconds ends them. */
  async close(grace: number): Promise<void> {
    const server = this.#server;
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    const endIdle = (): void => {
      if ("closeIdleConnections" in server) server.closeIdleConnections();
      idle = this.#clock.after(IDLE_CHECK, endIdle, true);
    };
    let idle = this.#clock.after(0, endIdle, true);
    const end = this.#clock.after(grace, () => this.#endAll(), true);
    await closed;
    idle.cancel();
    end.cancel();
  }

  #endAll(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #holdSession(session: ServerHttp2Session, limits: ResolvedLimits): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    // Its streams count as activity.
    session.setTimeout(limits.keepAliveTimeout, () => session.close());
    // What it says is in the end of its streams.
    session.on("error", () => undefined);
  }
}

/** HTTP/1.1 beside HTTP/2 on one port: there Node does not look how long a head takes. */
class HeadTimes {
  readonly #clock: Clock;
  readonly #timers = new WeakMap<object, Timer>();
  #head = 0;
  #idle = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  setLimits({ headersTimeout, keepAliveTimeout }: ResolvedLimits): void {
    this.#head = headersTimeout;
    this.#idle = keepAliveTimeout;
  }

  connected(socket: TLSSocket): void {
    if (socket.alpnProtocol === "h2") return;
    this.#wait(socket, this.#head);
    socket.once("close", () => this.#timers.get(socket)?.cancel());
  }

  /** A head has come whole; the next one may begin when its answer has ended. */
  came({ httpVersionMajor, socket }: IncomingMessage, outgoing: ServerResponse | undefined): void {
    if (httpVersionMajor !== 1) return;
    this.#timers.get(socket)?.cancel();
    outgoing?.once("close", () => this.#wait(socket, this.#idle + this.#head));
  }

  #wait(socket: Socket, time: number): void {
    if (!socket.destroyed)
      this.#timers.set(
        socket,
        this.#clock.after(time, () => void socket.destroy()),
      );
  }
}

function serverFor(
  listen: ResolvedListen,
  limits: ResolvedLimits,
  certificate: Certificate | undefined,
): Server | Http2SecureServer {
  const own = {
    maxHeaderSize: limits.headerBytes,
    requireHostHeader: true,
    insecureHTTPParser: false,
    connectionsCheckingInterval: Math.min(5_000, Math.max(50, Math.floor(limits.headersTimeout / 4))),
    headersTimeout: limits.headersTimeout,
    requestTimeout: 0,
    noDelay: true,
  };
  if (certificate === undefined) return createServer(own);
  const secure = {
    ...own,
    cert: asBuffer(certificate.cert),
    key: asBuffer(certificate.key),
    handshakeTimeout: limits.headersTimeout,
  };
  if (!listen.http2) return createHttpsServer({ ...secure, ALPNProtocols: ["http/1.1"] });
  const server = createSecureServer({
    ...secure,
    allowHTTP1: true,
    maxHeaderListPairs: limits.headerCount + 8,
    settings: { maxConcurrentStreams: MOST_STREAMS, maxHeaderListSize: limits.headerBytes, enablePush: false },
  });
  // Read of the server by HTTP/1.1's side of it, which has no options of its own.
  return Object.assign(server, {
    maxHeaderSize: limits.headerBytes,
    requireHostHeader: true,
    insecureHTTPParser: false,
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

import { getRequestListener } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { Agent, interceptors, request } from "undici";

import { expressCache } from "../../src/frameworks/express.js";
import { fastifyCache } from "../../src/frameworks/fastify.js";
import { honoCache } from "../../src/frameworks/hono.js";
import { createGateway } from "../../src/gateway/index.js";
import { httpCache } from "../../src/http/node/http-cache.js";
import { createCache, memory, type Cache } from "../../src/index.js";
import { BODY, HEADERS, PATH } from "./document.js";

/* One server of the bench, in a process of its own: which one is the first argument, its origin's port the second. */

const [kind = "", originPort = "0"] = process.argv.slice(2);
const origin = `http://127.0.0.1:${originPort}`;

/** Each opens a server, and resolves with its port. */
const SERVERS: Readonly<Record<string, () => Promise<number>>> = {
  bare: () => listening(answer),
  prebuilt: () => listening(prebuilt()),
  tiercache: () => listening(httpCache(cache(), {}).handler(answer)),
  "tiercache, isolation none": () => listening(httpCache(cache("none"), {}).handler(answer)),
  "tiercache gateway": async () => {
    const gateway = createGateway({ origin, listen: { port: 0 }, cache: { memory: "64mb" } });
    return (await gateway.start()).port;
  },
  "tiercache on Fastify": async () => {
    const app = fastify();
    await app.register(fastifyCache, { cache: cache() });
    app.get(PATH, (_request, reply) => reply.headers(HEADERS).send(BODY));
    await app.listen({ port: 0, host: "127.0.0.1" });
    return (app.server.address() as AddressInfo).port;
  },
  "bare Fastify": async () => {
    const app = fastify();
    app.get(PATH, (_request, reply) => reply.headers(HEADERS).send(BODY));
    await app.listen({ port: 0, host: "127.0.0.1" });
    return (app.server.address() as AddressInfo).port;
  },
  "tiercache on Express": () => {
    const app = express();
    app.use(expressCache(cache()));
    app.get(PATH, answer);
    return listening((incoming, outgoing) => void app(incoming, outgoing));
  },
  "tiercache on Hono": () => {
    const app = new Hono();
    app.use(honoCache(cache(), { app }));
    app.get(PATH, (context) => context.body(new Uint8Array(BODY), 200, { ...HEADERS }));
    return listening(honoListener(app));
  },
  "bare Hono": () => {
    const app = new Hono();
    app.get(PATH, (context) => context.body(new Uint8Array(BODY), 200, { ...HEADERS }));
    return listening(honoListener(app));
  },
  "undici's interceptor": () => {
    const dispatcher = new Agent().compose(interceptors.cache());
    return listening((incoming, outgoing) => {
      void request(`${origin}${incoming.url ?? "/"}`, { dispatcher }).then(({ statusCode, headers, body }) => {
        const { connection: _, "transfer-encoding": __, "keep-alive": ___, ...own } = headers;
        outgoing.writeHead(statusCode, own as Record<string, string>);
        body.pipe(outgoing);
      });
    });
  },
};

function honoListener(app: Hono): RequestListener {
  const listener = getRequestListener(app.fetch);
  return (incoming, outgoing) => void listener(incoming, outgoing);
}

function answer(...[, outgoing]: Parameters<RequestListener>): void {
  outgoing.writeHead(200, HEADERS);
  outgoing.end(BODY);
}

function prebuilt(): RequestListener {
  const lines = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
  const text = `HTTP/1.1 200 OK\r\n${lines.join("")}Connection: keep-alive\r\n\r\n${BODY.toString("latin1")}`;
  // What nobody should do in earnest: the response is never told, so the next request waits for nothing.
  return (incoming, outgoing) => {
    const { socket } = incoming;
    outgoing.detachSocket(socket);
    socket.write(text, "latin1");
    outgoing.assignSocket(socket);
    Object.assign(outgoing, { _header: text, _headerSent: true, _hasBody: false });
    outgoing.end();
  };
}

function cache(isolation?: "none"): Cache {
  return createCache({ name: "bench", tiers: [memory({ maxBytes: "64mb" })], isolation });
}

function listening(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

const open = SERVERS[kind];
if (open === undefined) throw new Error(`Expected one of ${Object.keys(SERVERS).join(", ")}; got "${kind}"`);
const port = await open();
process.send?.({ port });
process.on("disconnect", () => process.exit(0));

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";

import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";

import { createCache, memory, type Cache } from "../../src/index.js";
import { expressCache } from "../../src/frameworks/express.js";
import { fastifyCache } from "../../src/frameworks/fastify.js";
import { honoCache } from "../../src/frameworks/hono.js";
import type { AppCacheOptions } from "../../src/http/app-rules.js";
import { httpCache } from "../../src/http/node/http-cache.js";

/** What a route answers: a head, and the parts of its body as they become known. */
export interface Made {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: AsyncIterable<string>;
}

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** The one route of an application; what it throws is the application's error. */
export type Route = (asked: Asked) => Made | Promise<Made>;

/** An application with a cache in front of it, on a port. */
export interface RunningApp {
  readonly url: string;
  readonly port: number;
  readonly cache: Cache;
  /** What the route was asked. */
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

export type Face = (route: Route, options?: AppCacheOptions) => Promise<RunningApp>;

/** The faces, by name. */
export const FACES: Readonly<Record<string, Face>> = {
  "node:http": (route, options) =>
    running(route, options, (cache, own, app) => {
      const web = httpCache(cache, app);
      return listening(createServer(web.handler((request, response) => answerWith(own, request, response))));
    }),
  express: (route, options) =>
    running(route, options, (cache, own, app) => {
      const server = express();
      server.use(expressCache(cache, app));
      server.use((request, response, next) => void answerWith(own, request, response).catch(next));
      return listening(createServer(server));
    }),
  fastify: (route, options) =>
    running(route, options, async (cache, own, app) => {
      const server = fastify();
      await server.register(fastifyCache as never, { cache, ...app } as never);
      server.all("/*", async ({ method, url, headers }, reply) => {
        const { status, headers: fields, body } = await own({ method, url, headers });
        reply.code(status).headers(fields);
        return reply.send(method === "HEAD" ? undefined : Readable.from(body));
      });
      await server.listen({ port: 0, host: "127.0.0.1" });
      return { port: (server.server.address() as AddressInfo).port, close: () => server.close() };
    }),
  hono: (route, options) =>
    running(route, options, async (cache, own, app) => {
      const hono = new Hono();
      hono.use(honoCache(cache, { app: hono, ...app }) as never);
      hono.all("*", async (context) => {
        const { method, url, headers } = context.req.raw;
        const at = new URL(url);
        const made = await own({ method, url: at.pathname + at.search, headers: Object.fromEntries(headers) });
        const fields = new Headers();
        for (const [name, value] of Object.entries(made.headers)) {
          for (const line of [value].flat()) fields.append(name, line);
        }
        const body = Readable.toWeb(Readable.from(encoded(made.body))) as ReadableStream<Uint8Array>;
        return new Response(made.status === 304 ? null : body, { status: made.status, headers: fields });
      });
      const server = serve({ fetch: hono.fetch, port: 0, hostname: "127.0.0.1" }) as Server;
      if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
      return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
    }),
};

type Listening = Pick<RunningApp, "port" | "close">;

async function running(
  route: Route,
  options: AppCacheOptions | undefined,
  start: (cache: Cache, route: Route, options: AppCacheOptions) => Promise<Listening>,
): Promise<RunningApp> {
  const cache = createCache({ name: "web", tiers: [memory({ maxBytes: "64mb" })] });
  const asked: Asked[] = [];
  const recorded: Route = (one) => {
    asked.push(one);
    return route(one);
  };
  const { port, close } = await start(cache, recorded, options ?? {});
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    cache,
    asked,
    close: async () => {
      await close();
      await cache.close();
    },
  };
}

async function answerWith(route: Route, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = "GET", url = "/", headers } = request;
  const made = await route({ method, url, headers });
  response.writeHead(made.status, made.headers);
  try {
    for await (const part of made.body) {
      if (response.destroyed) return;
      if (!response.write(part)) await new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
    }
    response.end();
  } catch (error) {
    response.destroy(error as Error);
  }
}

async function* encoded(body: AsyncIterable<string>): AsyncIterable<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const part of body) yield encoder.encode(part);
}

export async function listening(server: Server): Promise<Listening> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

/** An answer of known parts. */
export function made(body: string | AsyncIterable<string>, headers: Made["headers"] = {}, status = 200): Made {
  return { status, headers, body: typeof body === "string" ? parts(body) : body };
}

async function* parts(text: string): AsyncIterable<string> {
  if (text !== "") yield text;
}

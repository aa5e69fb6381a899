import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";

import type { Cache } from "../api.js";
import { appRules, CACHED_METHODS, restored, type AppCacheOptions, type AppRules } from "../http/app-rules.js";
import { HttpEngine } from "../http/engine.js";
import type { Answer, Exchange, OriginAnswer } from "../http/exchange.js";
import { hasField, withoutFields, type Fields } from "../http/fields.js";
import { endToEnd } from "../http/hop-by-hop.js";
import { nodeFields } from "../http/node/fields.js";
import { requestUrl } from "../http/node/http-cache.js";
import type { ReadyHit } from "../http/ready-hit.js";

/** Options of `fastifyCache`. */
export interface FastifyCacheOptions extends AppCacheOptions {
  cache: Cache;
}

/** What this calls of a Fastify 5 request. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage;
  readonly method: string;
  readonly originalUrl: string;
  readonly ip: string;
  readonly server: FastifyLike;
}

/** What this calls of a Fastify 5 reply. */
export interface FastifyReplyLike {
  readonly raw: ServerResponse;
  readonly statusCode: number;
  code(status: number): unknown;
  header(name: string, value: string | string[]): unknown;
  removeHeader(name: string): unknown;
  getHeaders(): Record<string, unknown>;
  send(payload?: unknown): unknown;
}

/** What this calls of a Fastify 5 server. */
export interface FastifyLike {
  addHook(name: "onRequest", hook: (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown>): unknown;
  addHook(
    name: "onSend",
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, payload: unknown) => Promise<unknown>,
  ): unknown;
  inject(options: {
    method: "GET" | "HEAD";
    url: string;
    headers: Record<string, string | string[]>;
    remoteAddress: string;
    payloadAsStream: true;
    signal?: AbortSignal;
  }): Promise<{
    readonly statusCode: number;
    readonly statusMessage: string;
    readonly headers: Record<string, number | string | string[] | undefined>;
    stream(): Readable;
  }>;
}

/** Names the requests that this plugin has made itself; its value is a secret of the plugin's. */
const OWN_RUN = "x-tiercache-run";

/**
 * Fastify 5 plugin that answers GET and HEAD of the routes of its scope from the cache: shared by default, see `AppCacheOptions`.
 *
 * What is not stored is asked of the server by a request without a client, with all its hooks: so one run answers all who ask for
 * the same at the same time, and goes on when the first of them has gone. Hits and misses alike are sent by `reply.send`, so the
 * hooks of every request (onSend among them) see them. Hooks that run before it run once more for a miss.
 *
 * @example
 * await app.register(fastifyCache, { cache, ttl: "1m" });
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export async function fastifyCache(server: FastifyLike, options: FastifyCacheOptions): Promise<void> {
  const { cache, ...rest } = options;
  const rules = appRules(rest);
  const engine = new HttpEngine(cache, rules.engine);
  const secret = randomBytes(18).toString("base64url");
  server.addHook("onRequest", async (request, reply) => {
    const { raw } = request;
    if (raw.headers[OWN_RUN] === secret) {
      delete raw.headers[OWN_RUN];
      return undefined;
    }
    const asked = askedOf(rules, request);
    if (asked === undefined || !CACHED_METHODS.has(asked.method)) return undefined;
    const mode = rules.modeOf(asked);
    if (mode === "no-store") return undefined;
    const hit = engine.hitNow({ ...asked, mode });
    if (hit !== undefined) return reply.send(prepared(reply, { ...hit, body: bytesOf(hit) }));
    const leaving = leavingOf(reply.raw);
    const send = sender(rules, request, asked, secret);
    const answer = await engine.handle({ ...asked, mode, signal: leaving.signal, send });
    return reply.send(prepared(reply, answer));
  });
  server.addHook("onSend", async (request, reply, payload) => {
    const asked = askedOf(rules, request);
    if (asked !== undefined && !CACHED_METHODS.has(asked.method)) await changed(engine, asked, reply);
    return payload;
  });
}

// Fastify's word for a plugin whose hooks are its parent's: registered in a scope, it is about that scope.
Object.assign(fastifyCache, { [Symbol.for("skip-override")]: true, [Symbol.for("fastify.display-name")]: "tiercache" });

function bytesOf({ body }: ReadyHit): Uint8Array {
  return typeof body === "string" ? Buffer.from(body, "latin1") : body;
}

type Asked = Pick<Exchange, "method" | "url" | "fields">;

function askedOf(rules: AppRules, request: FastifyRequestLike): Asked | undefined {
  const url = requestUrl(rules, request.raw, request.originalUrl);
  const received = nodeFields(request.raw);
  if (url === undefined || hasField(received, "upgrade")) return undefined;
  return { method: request.method, url, fields: rules.seen(received) };
}

function sender(rules: AppRules, request: FastifyRequestLike, asked: Asked, secret: string): Exchange["send"] {
  const received = nodeFields(request.raw);
  return async (sent, signal) => {
    const headers = headersOf([...restored(sent, received, asked.fields), [OWN_RUN, secret]]);
    const response = await request.server.inject({
      method: asked.method as "GET" | "HEAD",
      url: `${asked.url.origin}${request.originalUrl}`,
      headers,
      remoteAddress: request.ip,
      payloadAsStream: true,
      ...(signal === undefined ? {} : { signal }),
    });
    return rules.told(asked, originAnswer(response));
  };
}

function originAnswer(response: Awaited<ReturnType<FastifyLike["inject"]>>): OriginAnswer {
  const fields: [string, string][] = [];
  for (const [name, value] of Object.entries(response.headers)) {
    for (const line of Array.isArray(value) ? value : [value])
      if (line !== undefined) fields.push([name, String(line)]);
  }
  const stream = response.stream();
  // One that has failed by now would be taken for one that is empty.
  if (stream.destroyed && !stream.readableEnded) throw stream.errored ?? new Error("The answer was cut short");
  const body = Readable.toWeb(stream) as ReadableStream<Uint8Array>;
  return { status: response.statusCode, statusText: response.statusMessage, fields, body };
}

/** Sets an answer's head, and gives what is to be sent. */
function prepared(reply: FastifyReplyLike, { status, fields, body }: Answer): unknown {
  reply.code(status);
  for (const [name, value] of Object.entries(headersOf(withoutFields(endToEnd(fields), LENGTH)))) {
    reply.removeHeader(name);
    reply.header(name, value);
  }
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.length);
  const length = fields.find(([name]) => name === "content-length")?.[1];
  if (length !== undefined && status !== 204 && status !== 304) reply.header("content-length", length);
  return body === null ? null : Readable.fromWeb(body);
}

const LENGTH: ReadonlySet<string> = new Set(["content-length"]);

/** Has the engine see a change's answer, which removes what it outdates (RFC 9111 §4.4), before the client has it. */
async function changed(engine: HttpEngine, asked: Asked, reply: FastifyReplyLike): Promise<void> {
  const fields = Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)] as const);
  const send = async (): Promise<OriginAnswer> => ({ status: reply.statusCode, statusText: "", fields, body: null });
  await engine.handle({ ...asked, mode: "default", signal: undefined, send });
}

function leavingOf(response: ServerResponse): AbortController {
  const leaving = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) leaving.abort(new Error("The client went away"));
  });
  return leaving;
}

function headersOf(fields: Fields): Record<string, string | string[]> {
  // Of no prototype: a field may be called as what every object has.
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of fields) {
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else headers[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return headers;
}

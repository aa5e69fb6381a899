import type { Cache } from "../api.js";
import { appRules, CACHED_METHODS, restored, type AppCacheOptions } from "../http/app-rules.js";
import { HttpEngine } from "../http/engine.js";
import type { Answer, Exchange, OriginAnswer } from "../http/exchange.js";
import { hasField } from "../http/fields.js";
import type { ReadyHit } from "../http/ready-hit.js";
import { BODILESS, fieldsOf } from "../http/web-response.js";

/** What this calls of a Hono context. */
export interface HonoContext {
  readonly req: { readonly raw: Request };
  res: Response;
  readonly env: unknown;
  /** Throws where the runtime has none. */
  readonly executionCtx: unknown;
}

export type HonoMiddleware = (context: HonoContext, next: () => Promise<void>) => Promise<Response | void>;

/** What this calls of a Hono application. */
export interface HonoApp {
  fetch(request: Request, env?: unknown, context?: never): Response | Promise<Response>;
}

/** Options of `honoCache`. */
export interface HonoCacheOptions extends AppCacheOptions {
  /** The application that is served, the outermost: it is asked for what is not stored. */
  app: HonoApp;
}

/**
 * Hono middleware that answers from the cache: shared by default, see `AppCacheOptions`. It needs Node's modules and the Fetch
 * API, on whatever runtime has both.
 *
 * What is not stored is asked of `app` by a request of its own: so one run answers all who ask for the same at the same time, and it
 * goes on when the first of them has gone.
 *
 * @example
 * app.use(honoCache(cache, { app, ttl: "1m" }));
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function honoCache(cache: Cache, options: HonoCacheOptions): HonoMiddleware {
  const { app, ...rest } = options;
  const rules = appRules(rest);
  const engine = new HttpEngine(cache, rules.engine);
  /** The requests that this middleware has made: they are the application's to answer. */
  const own = new WeakSet<Request>();
  return async (context, next) => {
    const { raw } = context.req;
    const parsed = new URL(raw.url);
    const scheme = parsed.protocol === "https:" ? "https" : "http";
    const url = rules.urlOf(scheme, parsed.host, `${parsed.pathname}${parsed.search}`);
    if (own.has(raw) || url === undefined) return next();
    const received = fieldsOf(raw.headers);
    if (hasField(received, "upgrade")) return next();
    const fields = rules.seen(received);
    const asked = { method: raw.method, url, fields };
    const mode = rules.modeOf(asked);
    if (!CACHED_METHODS.has(raw.method)) return change(engine, asked, context, next);
    if (mode === "no-store") return next();
    const hit = engine.hitNow({ ...asked, mode });
    if (hit !== undefined && !BODILESS.has(hit.status)) return readyResponse(hit);
    const send: Exchange["send"] = async (sent, signal) => {
      const headers = new Headers();
      for (const [name, value] of restored(sent, received, fields)) headers.append(name, value);
      const run = new Request(raw.url, { method: raw.method, headers, signal: signal ?? null });
      own.add(run);
      return rules.told(asked, answerOf(await app.fetch(run, context.env, executionContext(context))));
    };
    const answer = await engine.handle({ ...asked, mode, signal: raw.signal, send });
    return responseOf(answer);
  };
}

/** A request that changes something is run where it is, and answered when what it outdates is gone. */
async function change(
  engine: HttpEngine,
  asked: Pick<Exchange, "method" | "url" | "fields">,
  context: HonoContext,
  next: () => Promise<void>,
): Promise<void> {
  await next();
  const { status, statusText, headers } = context.res;
  const send = async (): Promise<OriginAnswer> => ({ status, statusText, fields: fieldsOf(headers), body: null });
  await engine.handle({ ...asked, mode: "default", signal: undefined, send });
}

function executionContext(context: HonoContext): never {
  try {
    return context.executionCtx as never;
  } catch {
    // Hono throws where the runtime has none, as on Node.
    return undefined as never;
  }
}

function answerOf({ status, statusText, headers, body }: Response): OriginAnswer {
  return { status, statusText, fields: fieldsOf(headers), body };
}

/** A memo, never more: the heads of hits by their lines, which live as long as a head holds. */
const HEADS = new WeakMap<readonly string[], Record<string, string> | Headers>();

/** Hono's server writes a Response that is made of bytes and a plain record as it is, without making one of the Fetch API's. */
function readyResponse({ status, statusText, lines, body }: ReadyHit): Response {
  let head = HEADS.get(lines);
  if (head === undefined) {
    head = headOf(lines);
    HEADS.set(lines, head);
  }
  const bytes = typeof body === "string" ? Buffer.from(body, "latin1") : body;
  // A copy, as it is the Response's own from here on.
  const headers = head instanceof Headers ? new Headers(head) : { ...head };
  return new Response(bytes, { status, statusText, headers });
}

/** A record, if each field is one line. */
function headOf(lines: readonly string[]): Record<string, string> | Headers {
  const record: Record<string, string> = {};
  const headers = new Headers();
  let isPlain = true;
  for (let index = 0; index + 1 < lines.length; index += 2) {
    const [name, value] = [lines[index] as string, lines[index + 1] as string];
    if (Object.hasOwn(record, name)) isPlain = false;
    record[name] = value;
    headers.append(name, value);
  }
  return isPlain ? record : headers;
}

function responseOf({ status, statusText, fields, body }: Answer): Response {
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, value);
  if (body instanceof Uint8Array) headers.set("content-length", String(body.length));
  return new Response(BODILESS.has(status) ? null : body, { status, statusText, headers });
}

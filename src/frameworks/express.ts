import type { IncomingMessage, ServerResponse } from "node:http";

import type { Cache } from "../api.js";
import { appRules, CACHED_METHODS, restored, type AppCacheOptions, type AppRules } from "../http/app-rules.js";
import { HttpEngine } from "../http/engine.js";
import type { Answer, Exchange } from "../http/exchange.js";
import { hasField } from "../http/fields.js";
import { answerNode } from "../http/node/answer.js";
import { detachedRequest, runListener, type Listener } from "../http/node/detached.js";
import { nodeFields } from "../http/node/fields.js";
import { requestUrl } from "../http/node/http-cache.js";

/** Options of `expressCache`. */
export interface ExpressCacheOptions extends AppCacheOptions {
  /** Longest time in milliseconds that a client may leave written bytes lying before it is cut. @default 30_000 */
  stallTimeout?: number | undefined;
}

/** An Express application, or one that is mounted in another. */
interface App extends Listener {
  readonly parent?: App | undefined;
}

/** What this calls of an Express request, of version 4 or 5. */
export interface ExpressRequest extends IncomingMessage {
  readonly app?: unknown;
  readonly originalUrl?: string;
}

export type ExpressMiddleware = (
  request: ExpressRequest,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Express middleware (4 and 5) that answers from the cache: shared by default, see `AppCacheOptions`.
 *
 * What is not stored is asked of the application itself, from its first middleware on, by a request without a client: so one run
 * answers all who ask for the same at the same time, and goes on when the first of them has gone. Put it before what should run for
 * misses only; what stands before it runs for every request, and once more for that of a miss.
 *
 * @example
 * app.use("/api", expressCache(cache, { ttl: "1m", tags: ({ url }) => [`path:${url.pathname}`] }));
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function expressCache(cache: Cache, options: ExpressCacheOptions = {}): ExpressMiddleware {
  const rules = appRules(options, ["stallTimeout"]);
  const engine = new HttpEngine(cache, rules.engine);
  /** The requests that this middleware has made: they are the application's to answer. */
  const own = new WeakSet<IncomingMessage>();
  return (request, response, next) => {
    const target = request.originalUrl ?? request.url ?? "";
    const app = topmost(request.app);
    const url = requestUrl(rules, request, target);
    if (own.has(request) || app === undefined || url === undefined) return next();
    const received = nodeFields(request);
    if (hasField(received, "upgrade")) return next();
    const method = request.method ?? "GET";
    const fields = rules.seen(received);
    if (!CACHED_METHODS.has(method)) return change(engine, { method, url, fields }, response, next);
    const asked = { method, url, fields };
    const send: Exchange["send"] = async (sent, signal) => {
      const run = detachedRequest(request, target, restored(sent, received, fields), undefined);
      own.add(run);
      return rules.told(asked, await runListener(app, run, signal));
    };
    answer(engine, rules, options, request, response, { url, fields, send, mode: rules.modeOf(asked) }, next);
  };
}

function answer(
  engine: HttpEngine,
  rules: AppRules,
  { stallTimeout }: ExpressCacheOptions,
  request: IncomingMessage,
  response: ServerResponse,
  exchange: Pick<Exchange, "url" | "fields" | "send" | "mode">,
  next: (error?: unknown) => void,
): void {
  // A request that goes by the cache is this one's own run: nothing is made for it.
  if (exchange.mode === "no-store") return next();
  const failed = (): Answer => ({
    status: 500,
    statusText: "Internal Server Error",
    fields: [["content-length", "0"]],
    body: null,
  });
  // It never rejects.
  void answerNode(engine, request, response, { ...exchange, failed, stallTimeout, clock: rules.engine.clock });
}

/**
 * A request that changes something is run where it is. Its answer ends when what it outdates is gone: whoever has it reads nothing
 * older.
 */
function change(
  engine: HttpEngine,
  request: Pick<Exchange, "method" | "url" | "fields">,
  response: ServerResponse,
  next: (error?: unknown) => void,
): void {
  const end = response.end.bind(response) as (...parts: readonly unknown[]) => ServerResponse;
  let isEnding = false;
  const deferred = (...parts: readonly unknown[]): ServerResponse => {
    if (isEnding) return response;
    isEnding = true;
    const finish = (): void => void end(...parts);
    invalidated(engine, request, response).then(finish, finish);
    return response;
  };
  Object.assign(response, { end: deferred });
  next();
}

/** Has the engine see the change's answer, which removes what it outdates (RFC 9111 §4.4). */
async function invalidated(
  engine: HttpEngine,
  request: Pick<Exchange, "method" | "url" | "fields">,
  response: ServerResponse,
): Promise<void> {
  const { statusCode: status, statusMessage: statusText } = response;
  const fields = Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)] as const);
  const send: Exchange["send"] = async () => ({ status, statusText, fields, body: null });
  await engine.handle({ ...request, mode: "default", signal: undefined, send });
}

function topmost(app: unknown): App | undefined {
  if (typeof app !== "function") return undefined;
  // Express's applications are listeners; what is mounted knows where.
  let top = app as App;
  while (typeof top.parent === "function") top = top.parent;
  return top;
}

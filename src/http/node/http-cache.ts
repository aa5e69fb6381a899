import type { IncomingMessage, ServerResponse } from "node:http";

import type { Cache } from "../../api.js";
import { appRules, restored, type AppCacheOptions, type AppRules } from "../app-rules.js";
import { HttpEngine } from "../engine.js";
import type { Answer, Exchange } from "../exchange.js";
import { hasField } from "../fields.js";
import { answerNode } from "./answer.js";
import { detachedRequest, runListener, type Listener } from "./detached.js";
import { hasBody, nodeFields } from "./fields.js";

/** Options of `httpCache`: those of an application's cache, and how long a client may stall. */
export interface HttpServerCacheOptions extends AppCacheOptions {
  /** Longest time in milliseconds that a client may leave written bytes lying before it is cut. @default 30_000 */
  stallTimeout?: number | undefined;
  /** Told of what the listener threw, and of what could not be written; the client gets 500. */
  onError?: ((error: unknown) => void) | undefined;
}

/** An HTTP cache in front of a listener of node:http. */
export interface HttpServerCache {
  /** A listener that answers from the cache, and else runs this one: once for all who ask for the same at the same time. */
  handler(listener: Listener): (incoming: IncomingMessage, outgoing: ServerResponse) => void;
}

/**
 * An HTTP cache for a server of node:http, an Express application included: shared by default, see `AppCacheOptions`.
 *
 * @example
 * const web = httpCache(createCache(), { ttl: "1m", staleWhileRevalidate: "10m" });
 * createServer(web.handler(listener)).listen(3000);
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function httpCache(cache: Cache, options: HttpServerCacheOptions = {}): HttpServerCache {
  const rules = appRules(options, ["stallTimeout", "onError"]);
  const engine = new HttpEngine(cache, rules.engine);
  return { handler: (listener) => (incoming, outgoing) => serve(engine, rules, options, listener, incoming, outgoing) };
}

function serve(
  engine: HttpEngine,
  rules: AppRules,
  { stallTimeout, onError }: HttpServerCacheOptions,
  listener: Listener,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  const received = nodeFields(incoming);
  const url = requestUrl(rules, incoming);
  // Not a request that a key can be made of, or one to switch protocols: the listener's own, as it is.
  if (url === undefined || hasField(received, "upgrade")) {
    listener(incoming, outgoing);
    return;
  }
  const method = incoming.method ?? "GET";
  const fields = rules.seen(received);
  const request = { method, url, fields };
  const body = hasBody(incoming) ? incoming : undefined;
  const send: Exchange["send"] = async (asked, signal) => {
    const run = detachedRequest(incoming, incoming.url ?? "/", restored(asked, received, fields), body);
    return rules.told(request, await runListener(listener, run, signal));
  };
  const failed = (error: unknown): Answer => {
    onError?.(error);
    return { status: 500, statusText: "Internal Server Error", fields: [["content-length", "0"]], body: null };
  };
  void answerNode(engine, incoming, outgoing, {
    url,
    fields,
    send,
    mode: rules.modeOf(request),
    failed,
    stallTimeout,
    clock: rules.engine.clock,
  });
}

/** The URL of a request that may have a key. */
export function requestUrl(
  rules: AppRules,
  incoming: IncomingMessage,
  target: string = incoming.url ?? "",
): URL | undefined {
  const isEncrypted = "encrypted" in incoming.socket && incoming.socket.encrypted === true;
  return rules.urlOf(isEncrypted ? "https" : "http", incoming.headers.host, target);
}

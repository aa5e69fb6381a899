import type { Cache } from "../api.js";
import { optionError } from "../policy.js";
import { HttpEngine } from "./engine.js";
import type { Answer, CacheMode, Exchange, OriginAnswer } from "./exchange.js";
import { fieldValue, hasField, withoutFields, type Fields } from "./fields.js";
import { resolveHttpOptions, type HttpCacheOptions } from "./options.js";
import { TextMemo } from "./text-memo.js";
import { asResponse, fieldsOf, readyResponse } from "./web-response.js";

/** Options of `cachedFetch`. */
export interface CachedFetchOptions extends HttpCacheOptions {
  /** What asks the origin. @default the global `fetch` */
  fetch?: typeof fetch | undefined;
}

const MODES: readonly CacheMode[] = ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"];
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Longest content of a QUERY that is made a key of. */
const MOST_QUERY = 1_048_576;
/** Of a QUERY, not of the GET that a 303 makes of it. */
const OF_CONTENT: ReadonlySet<string> = new Set([
  "content-type",
  "content-encoding",
  "content-language",
  "content-length",
]);
const NO_FIELDS: Fields = [];
/** As many as the Fetch standard follows. */
const MOST_REDIRECTS = 20;
/** Not sent on to another origin. */
const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "cookie", "host", "proxy-authorization"]);

/**
 * `fetch` with an HTTP cache in front of it: private by default, as a browser's is, and kept apart by the credentials that
 * requests carry. `RequestInit.cache` means what the Fetch standard says.
 *
 * @example
 * const fetch = cachedFetch(createCache());
 * const response = await fetch("https://api.example.org/countries");
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function cachedFetch(cache: Cache, options: CachedFetchOptions = {}): CachedFetch {
  const resolved = { ...resolveHttpOptions(options, ["fetch"]), decoded: true };
  const ask = options.fetch;
  if (ask !== undefined && typeof ask !== "function") throw optionError("fetch", "a function", ask);
  const client = new CachedClient(new HttpEngine(cache, resolved), ask, resolved.query);
  return (input, init) => client.fetch(input, init);
}

/** As the global `fetch`, with the cache modes of the Fetch standard, which Node's own types leave out. */
export type CachedFetch = (input: Input, init?: RequestInit & { cache?: CacheMode | undefined }) => Promise<Response>;

type Input = Parameters<typeof fetch>[0];
type Init = Parameters<CachedFetch>[1];

class CachedClient {
  readonly #engine: HttpEngine;
  readonly #ask: typeof fetch;
  readonly #query: boolean;
  readonly #asked: { readonly cache?: CacheMode };
  readonly #urls = new TextMemo<URL>();

  /**
   * @param ask what asks the origin; `undefined` for the global `fetch`.
   * @param query whether QUERY is answered from the store.
   */
  constructor(engine: HttpEngine, ask: typeof fetch | undefined, query: boolean) {
    this.#engine = engine;
    this.#query = query;
    this.#ask = ask ?? fetch;
    // Node's fetch keeps nothing, but for the default mode it adds `Cache-Control: no-cache` to what has conditions (Fetch
    // standard), and every cache on the way would go to the origin. Another's fetch may keep something: it is told nothing.
    this.#asked = ask === undefined ? { cache: "force-cache" } : {};
  }

  async fetch(input: Input, init: Init): Promise<Response> {
    const hit = this.#ready(input, init);
    if (hit !== undefined) return hit;
    const mode = cacheMode(input, init);
    // Without the mode, which the engine heeds: "only-if-cached" is refused by a Request that is not of a page.
    const { cache: _mode, ...rest } = init ?? {};
    const request = new Request(input, rest);
    const url = new URL(request.url);
    if (url.protocol !== "http:" && url.protocol !== "https:") return this.#ask(request, rest);
    url.hash = "";
    const signal = rest.signal ?? (input instanceof Request ? input.signal : undefined);
    if (signal?.aborted === true) throw signal.reason;
    const content = this.#query && request.method === "QUERY" ? await contentOf(request) : undefined;
    const isRead = request.method === "GET" || request.method === "HEAD" || content !== undefined;
    const exchange: Exchange = {
      method: request.method,
      url,
      fields: saying(fieldsOf(request.headers), mode),
      mode,
      signal,
      content: content !== undefined && content.length <= MOST_QUERY ? content : undefined,
      send: isRead ? this.#reader(rest, url, request.method, content) : this.#writer(request, rest),
    };
    return isRead
      ? this.#follow(exchange, request.redirect, rest, content)
      : asResponse(await this.#handle(exchange), url.href, false);
  }

  /** What memory answers at once, without a Request. @throws TypeError for headers that are none, as a Request does. */
  #ready(input: Input, init: Init): Response | undefined {
    if (input instanceof Request || !isPlain(init)) return undefined;
    const url = this.#urlOf(typeof input === "string" ? input : input.href);
    if (url === undefined) return undefined;
    const fields = init?.headers === undefined ? NO_FIELDS : fieldsOf(new Headers(init.headers));
    const hit = this.#engine.hitNow({ method: "GET", url, fields, mode: "default" });
    // A redirect is followed.
    return hit === undefined || REDIRECTS.has(hit.status) ? undefined : readyResponse(hit, url.href);
  }

  /** `undefined` for what a Request refuses, and what is no HTTP. */
  #urlOf(text: string): URL | undefined {
    const before = this.#urls.get(text);
    if (before !== undefined) return before;
    if (!/^https?:/i.test(text) || !URL.canParse(text)) return undefined;
    const url = new URL(text);
    if (url.username !== "" || url.password !== "") return undefined;
    url.hash = "";
    return this.#urls.keep(text, url);
  }

  async #handle(exchange: Exchange): Promise<Answer> {
    const answer = await this.#engine.handle(exchange);
    if (answer.status !== 504 || exchange.mode !== "only-if-cached") return answer;
    throw new TypeError("Nothing is stored that answers this request, and its cache mode is only-if-cached");
  }

  /** Redirects are followed here, so that each answer is stored under the URL it is of. */
  async #follow(
    first: Exchange,
    redirect: Request["redirect"],
    init: NonNullable<Init>,
    sent: Uint8Array | undefined,
  ): Promise<Response> {
    let exchange = first;
    let content = sent;
    for (let followed = 0; ; followed++) {
      const answer = await this.#handle(exchange);
      const next = redirectOf(answer, exchange.url);
      if (next === undefined || redirect === "manual") return asResponse(answer, exchange.url.href, followed > 0);
      await drain(answer);
      if (redirect === "error") throw new TypeError(`${exchange.url.href} redirects, and redirect is "error"`);
      if (followed === MOST_REDIRECTS) throw new TypeError(`More than ${MOST_REDIRECTS} redirects`);
      if (next.protocol !== "http:" && next.protocol !== "https:")
        throw new TypeError(`Redirected to ${next.protocol}`);
      const isElsewhere = next.origin !== exchange.url.origin;
      const fields = isElsewhere ? withoutFields(exchange.fields, CREDENTIALS) : exchange.fields;
      if (answer.status === 303 && exchange.method === "QUERY") {
        content = undefined;
        exchange = { ...exchange, method: "GET", content, fields: withoutFields(fields, OF_CONTENT) };
      } else exchange = { ...exchange, fields };
      exchange = { ...exchange, url: next, send: this.#reader(init, next, exchange.method, content) };
    }
  }

  #reader(init: NonNullable<Init>, url: URL, method: string, content: Uint8Array | undefined): Exchange["send"] {
    const { body: _body, ...rest } = init;
    return async (fields, signal) => {
      const headers = new Headers();
      for (const [name, value] of fields) headers.append(name, value);
      const own = {
        ...rest,
        ...this.#asked,
        ...(content !== undefined && { body: Uint8Array.from(content) }),
        method,
        headers,
        redirect: "manual" as const,
        signal: signal ?? null,
      };
      return asAnswer(await this.#ask(url.href, own));
    };
  }

  /** What changes something goes out as it is, body and redirects included. */
  #writer(request: Request, init: NonNullable<Init>): Exchange["send"] {
    const { body: _body, headers: _headers, method: _method, ...rest } = init;
    return async (_fields, signal) => asAnswer(await this.#ask(request, { ...rest, signal: signal ?? null }));
  }
}

/** Whether nothing is asked but a plain GET, with fields or without. */
function isPlain(init: Init): boolean {
  if (init === undefined) return true;
  for (const name in init) if (name !== "headers" && name !== "method" && name !== "signal") return false;
  const { method, signal } = init;
  return (method === undefined || method === "GET") && (signal ?? undefined) === undefined;
}

/** All of a QUERY's content, which may have to be sent twice. */
async function contentOf(request: Request): Promise<Uint8Array> {
  return new Uint8Array(await request.arrayBuffer());
}

function cacheMode(input: Input, init: Init): CacheMode {
  const mode: unknown = init?.cache ?? (input instanceof Request ? input.cache : undefined) ?? "default";
  const known = MODES.find((one) => one === mode);
  if (known === undefined) throw new TypeError(`Expected \`cache\` to be one of ${MODES.join(", ")}`);
  return known;
}

/** The fields with what a mode says to the caches between here and the origin (Fetch standard, HTTP-network-or-cache fetch). */
function saying(fields: Fields, mode: CacheMode): Fields {
  const add = (name: string, value: string): Fields => (hasField(fields, name) ? [] : [[name, value]]);
  if (mode === "no-cache") return [...fields, ...add("cache-control", "max-age=0")];
  if (mode !== "reload" && mode !== "no-store") return fields;
  return [...fields, ...add("pragma", "no-cache"), ...add("cache-control", "no-cache")];
}

function redirectOf({ status, fields }: Answer, base: URL): URL | undefined {
  const location = fieldValue(fields, "location");
  if (!REDIRECTS.has(status) || location === undefined) return undefined;
  if (!URL.canParse(location, base.href)) throw new TypeError("The redirect leads to what is no URL");
  const next = new URL(location, base.href);
  next.hash = "";
  return next;
}

/** Reads a body to its end: one that is cancelled would not be stored. */
async function drain({ body }: Answer): Promise<void> {
  if (!(body instanceof ReadableStream)) return;
  const reader = body.getReader();
  let left = MOST_DRAINED;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    left -= value.length;
    if (left < 0) return reader.cancel();
  }
}

/** Bytes of a redirect's body that are read for the sake of storing it. */
const MOST_DRAINED = 65_536;

function asAnswer(response: Response): OriginAnswer {
  const { status, statusText, headers, body } = response;
  const fields: Fields = fieldsOf(headers);
  return { status, statusText, fields, body };
}

import { systemClock, type Clock } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { knownOptions, optionError } from "../policy.js";
import { toBytes } from "../tiers/memory/limits.js";
import type { CacheKind } from "./freshness.js";

/** How responses are cached. */
export interface HttpCacheOptions {
  /** More than one user is answered from it: stores nothing that is private, and little that was asked for with Authorization. @default false */
  shared?: boolean | undefined;
  /** Longest body that is stored, as a number of bytes or "4mb"; longer ones pass through. @default "4mb" */
  maxBodyBytes?: number | string | undefined;
  /** How long a response is kept past its freshness: to be validated, or served stale where that is allowed. @default "1d" */
  keepStale?: Duration | undefined;
  /** Longest one load may take, its body included, before others may start another. @default "5m" */
  loadTimeout?: Duration | undefined;
  /** Serve stale when the origin cannot be reached, unless the response forbids it (RFC 9111 §4.2.4). @default true */
  staleOnDisconnect?: boolean | undefined;
  /** Targeted fields that count instead of Cache-Control (RFC 9213), the nearest first. @default ["cdn-cache-control"] when shared, else none */
  targets?: readonly string[] | undefined;
  /** Store responses with Set-Cookie, and replay it. Without it a shared cache does not store them, a private one stores them without. @default false */
  storeSetCookie?: boolean | undefined;
  /** Keep one encoding of a response and decode it for clients that do not accept it, unless it says `no-transform`; not of `cachedFetch`, whose bodies are decoded. @default true */
  negotiate?: boolean | undefined;
  /** Store answers to QUERY (RFC 10008), by the content of the request too, and let unsafe requests invalidate them. @default false */
  query?: boolean | undefined;
  /** Names this cache in Cache-Status. @default "tiercache" */
  name?: string | undefined;
  /** Source of time; tests inject one. @default the machine's */
  clock?: Clock | undefined;
}

export interface ResolvedHttpOptions extends CacheKind {
  readonly maxBodyBytes: number;
  readonly keepStale: number;
  readonly loadTimeout: number;
  readonly staleOnDisconnect: boolean;
  readonly setCookie: boolean;
  readonly query: boolean;
  readonly negotiate: boolean;
  readonly name: string;
  readonly clock: Clock;
  /** The HTTP client decodes bodies and leaves Content-Encoding and Content-Length as they were, as `fetch` does: no byte can be counted. */
  readonly decoded: boolean;
}

/** The defaults, as data. */
export const HTTP_DEFAULTS = {
  shared: false,
  maxBodyBytes: "4mb",
  keepStale: "1d",
  loadTimeout: "5m",
  staleOnDisconnect: true,
  storeSetCookie: false,
  negotiate: true,
  query: false,
  name: "tiercache",
} as const;

const FIELDS: readonly string[] = [...Object.keys(HTTP_DEFAULTS), "targets", "clock"];

/**
 * @param beside options that are somebody else's.
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function resolveHttpOptions(options: HttpCacheOptions, beside: readonly string[] = []): ResolvedHttpOptions {
  knownOptions(options, [...FIELDS, ...beside], "http");
  const shared = boolean(options.shared, "shared");
  const loadTimeout = toMilliseconds(options.loadTimeout ?? HTTP_DEFAULTS.loadTimeout, "loadTimeout");
  if (loadTimeout === 0) throw optionError("loadTimeout", "more than 0", options.loadTimeout);
  const name = options.name ?? HTTP_DEFAULTS.name;
  if (typeof name !== "string" || !/^[\x20-\x7e]+$/.test(name)) throw optionError("name", "printable ASCII", name);
  return {
    shared,
    targets: targetNames(options.targets ?? (shared ? ["cdn-cache-control"] : [])),
    maxBodyBytes: toBytes(options.maxBodyBytes ?? HTTP_DEFAULTS.maxBodyBytes, "maxBodyBytes"),
    keepStale: toMilliseconds(options.keepStale ?? HTTP_DEFAULTS.keepStale, "keepStale"),
    loadTimeout,
    staleOnDisconnect: boolean(options.staleOnDisconnect, "staleOnDisconnect"),
    setCookie: boolean(options.storeSetCookie, "storeSetCookie"),
    query: boolean(options.query, "query"),
    negotiate: boolean(options.negotiate, "negotiate"),
    name,
    clock: options.clock ?? systemClock,
    decoded: false,
  };
}

type Switch = "shared" | "staleOnDisconnect" | "storeSetCookie" | "negotiate" | "query";

function boolean(value: unknown, option: Switch): boolean {
  if (value === undefined) return HTTP_DEFAULTS[option];
  if (typeof value !== "boolean") throw optionError(option, "true or false", value);
  return value;
}

function targetNames(targets: unknown): readonly string[] {
  if (!Array.isArray(targets) || !targets.every((one) => typeof one === "string" && /^[\w-]+$/.test(one))) {
    throw optionError("targets", "an array of field names", targets);
  }
  return targets.map((target: string) => target.toLowerCase());
}

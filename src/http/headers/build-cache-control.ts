import { toMilliseconds, type Duration } from "../../duration.js";
import { knownOptions, optionError } from "../../policy.js";
import { MAX_DELTA_SECONDS } from "../delta-seconds.js";

/** How long an answer of an API may be reused, and how. Whole seconds: `"5m"`, or milliseconds as a number. */
export interface ApiCaching {
  /** Fresh for so long, in browsers and, without `sMaxAge`, in shared caches. */
  maxAge: Duration;
  /** Fresh for so long in shared caches. @default maxAge */
  sMaxAge?: Duration | undefined;
  /** Served stale for so long while it is validated (RFC 5861). @default not */
  staleWhileRevalidate?: Duration | undefined;
  /** Served stale for so long when the origin fails (RFC 5861). @default not */
  staleIfError?: Duration | undefined;
  /** Only the user's own cache may keep it. @default false */
  private?: boolean | undefined;
  /** Never served stale, not even when the origin is away. @default false */
  mustRevalidate?: boolean | undefined;
}

/** As `ApiCaching`, for the caches a targeted field is for: there is no other age, and no browser. */
export type EdgeCaching = Pick<ApiCaching, "maxAge" | "staleWhileRevalidate" | "staleIfError" | "mustRevalidate">;

const API_FIELDS = ["maxAge", "sMaxAge", "staleWhileRevalidate", "staleIfError", "private", "mustRevalidate"];
const EDGE_FIELDS = ["maxAge", "staleWhileRevalidate", "staleIfError", "mustRevalidate"];
const YEAR = "365d";

/**
 * Values of the Cache-Control field (RFC 9111 §5.2.2).
 *
 * All throw CacheError `ERR_CACHE_OPTION` for an unknown option, and for a duration that is not whole seconds: a plain number is
 * milliseconds.
 */
export const cacheControl: CacheControlValues = {
  immutable({ maxAge = YEAR } = {}) {
    return `public, max-age=${seconds(maxAge, "maxAge")}, immutable`;
  },
  api(options) {
    knownOptions(options, API_FIELDS, "api");
    if (options.private === true && options.sMaxAge !== undefined) {
      throw optionError("sMaxAge", "absent from what is private", options.sMaxAge);
    }
    const lists = [options.private === true ? "private" : "public", `max-age=${seconds(options.maxAge, "maxAge")}`];
    if (options.sMaxAge !== undefined) lists.push(`s-maxage=${seconds(options.sMaxAge, "sMaxAge")}`);
    return [...lists, ...rest(options)].join(", ");
  },
  private({ maxAge = 0 } = {}) {
    return `private, max-age=${seconds(maxAge, "maxAge")}, must-revalidate`;
  },
  noStore() {
    return "no-store";
  },
  revalidate({ private: isPrivate = false } = {}) {
    return isPrivate ? "private, no-cache" : "no-cache";
  },
};

/** What `cacheControl` can say. */
export interface CacheControlValues {
  /** Of what never changes under its URL: a file with its hash in its name (RFC 8246). @default a year */
  immutable(options?: { readonly maxAge?: Duration | undefined }): string;
  /** Of an answer that may be shared, or with `private` of one user's. */
  api(options: ApiCaching): string;
  /** Of one user's answer: in the browser only, and validated each time, or after `maxAge`. */
  private(options?: { readonly maxAge?: Duration | undefined }): string;
  /** Of what is kept nowhere. */
  noStore(): string;
  /** Of what may be kept, and is validated before each use: give it an ETag. */
  revalidate(options?: { readonly private?: boolean | undefined }): string;
}

/** A value of CDN-Cache-Control (RFC 9213), which CDNs, and the shared caches of this library, obey instead of Cache-Control. @throws CacheError `ERR_CACHE_OPTION`. */
export function cdnCacheControl(options: EdgeCaching | "no-store"): string {
  return edge(options);
}

/** A value of Surrogate-Control (Edge Architecture Specification 1.0), which Fastly, Varnish and others obey first, and remove. @throws CacheError `ERR_CACHE_OPTION`. */
export function surrogateControl(options: EdgeCaching | "no-store"): string {
  return edge(options);
}

/**
 * A value of Vary (RFC 9110 §12.5.5): the names, each once, in lower case.
 *
 * @param names of request fields; what stands in the response already as well: `vary(response.getHeader("vary"), "accept-language")`.
 * @throws CacheError `ERR_CACHE_OPTION` for what is no field name.
 */
export function vary(...names: readonly (string | readonly string[] | number | undefined)[]): string {
  const all = names.flatMap((name) => (name === undefined ? [] : String(name).split(",")));
  const distinct = new Set(all.map((name) => name.trim().toLowerCase()).filter((name) => name !== ""));
  if (distinct.has("*")) return "*";
  for (const name of distinct) {
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) throw optionError("vary", "names of request fields", name);
  }
  return [...distinct].join(", ");
}

function edge(options: EdgeCaching | "no-store"): string {
  if (options === "no-store") return "no-store";
  knownOptions(options, EDGE_FIELDS, "edge");
  return [`max-age=${seconds(options.maxAge, "maxAge")}`, ...rest(options)].join(", ");
}

function rest({ staleWhileRevalidate, staleIfError, mustRevalidate }: EdgeCaching): string[] {
  const lists: string[] = [];
  if (staleWhileRevalidate !== undefined) {
    lists.push(`stale-while-revalidate=${seconds(staleWhileRevalidate, "staleWhileRevalidate")}`);
  }
  if (staleIfError !== undefined) lists.push(`stale-if-error=${seconds(staleIfError, "staleIfError")}`);
  if (mustRevalidate !== true) return lists;
  if (lists.length > 0) throw optionError("mustRevalidate", "absent where stale may be served", true);
  return ["must-revalidate"];
}

function seconds(duration: Duration, option: string): number {
  const whole = toMilliseconds(duration, option) / 1_000;
  // 60 is 60 milliseconds and not a minute: said aloud, instead of an answer that is never fresh.
  if (!Number.isSafeInteger(whole)) throw optionError(option, 'whole seconds, as in "5m" or 300_000', duration);
  return Math.min(whole, MAX_DELTA_SECONDS);
}

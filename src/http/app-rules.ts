import { optionError } from "../policy.js";
import { toMilliseconds, type Duration } from "../duration.js";
import type { CacheMode, OriginAnswer } from "./exchange.js";
import { fieldLines, hasField, withoutFields, type Fields } from "./fields.js";
import { resolveHttpOptions, type HttpCacheOptions, type ResolvedHttpOptions } from "./options.js";
import { responseDirectives } from "./targeted.js";
import { TextMemo } from "./text-memo.js";

/** A request to an application, as its caching rules see it. */
export interface AppRequest {
  /** In capitals. */
  readonly method: string;
  readonly url: URL;
  readonly fields: Fields;
}

/** How an application's own answers are cached, for all its routes or for one. */
export interface AppCacheOptions extends HttpCacheOptions {
  /** How long answers are fresh that say nothing of it themselves (no Cache-Control, no Expires). @default none: they are not stored */
  ttl?: Duration | undefined;
  /** With `ttl`: for how long past it they are served while the application makes a new one. @default 0 */
  staleWhileRevalidate?: Duration | undefined;
  /** Tags of the answers, besides those in their Surrogate-Key, xkey and Cache-Tag. */
  tags?: readonly string[] | ((request: AppRequest) => readonly string[]) | undefined;
  /** Request fields that the answers vary on, besides those they name in Vary. */
  vary?: readonly string[] | undefined;
  /** Cookies that make a request somebody's own; others are not looked at. @default all of them */
  cookies?: readonly string[] | undefined;
  /** Query parameters that are secrets: a request with one goes by the cache. Added to the ones known. */
  sensitive?: readonly string[] | undefined;
  /** Requests that go by the cache. */
  bypass?: ((request: AppRequest) => boolean) | undefined;
}

/** The options that are this file's; the rest are the engine's. */
const OWN: readonly string[] = ["ttl", "staleWhileRevalidate", "tags", "vary", "cookies", "sensitive", "bypass"];

/** Our own targeted field (RFC 9213 §2): what the options say of answers that say nothing. */
const OWN_TARGET = "tiercache-cache-control";

/** Query parameters that are secrets wherever they are met, in lower case without "-" and "_". */
const SENSITIVE: readonly string[] = [
  "accesstoken", "apikey", "apitoken", "auth", "authtoken", "authorization", "clientsecret", "code", "credential", "credentials",
  "idtoken", "jwt", "key", "otp", "passwd", "password", "pin", "pwd", "refreshtoken", "resettoken", "samlresponse", "secret",
  "session", "sessionid", "sid", "sig", "signature", "ticket", "token", "xamzcredential", "xamzsecuritytoken", "xamzsignature",
  "xgoogcredential", "xgoogsignature",
]; // prettier-ignore

/** What a request says about its own way here, which applications build links and redirects from: never shared unseen. */
const ROUTING: readonly string[] = [
  "forwarded",
  "x-forwarded-host",
  "x-forwarded-path",
  "x-forwarded-port",
  "x-forwarded-prefix",
  "x-forwarded-proto",
  "x-forwarded-scheme",
  "x-forwarded-server",
  "x-forwarded-ssl",
  "x-forwarded-uri",
  "x-host",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-original-host",
  "x-original-url",
  "x-rewrite-url",
];

/** What makes a request somebody's own: what RFC 9111 knows, and the fields that services most often know each other by. */
const PERSONAL: readonly string[] = [
  "authorization",
  "cookie",
  "x-api-key",
  "api-key",
  "x-auth-token",
  "x-access-token",
];

/** An origin that may stand in a key: a name or an address, and a port. */
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

export interface AppRules {
  readonly engine: ResolvedHttpOptions;
  /** The URL of a request, if it is written as its key is; `undefined` for one that goes by the cache. */
  urlOf(scheme: "http" | "https", host: string | undefined, target: string): URL | undefined;
  /** Whether a request may be answered by the cache at all. */
  modeOf(request: AppRequest): CacheMode;
  /** The request's fields as the cache sees them. */
  seen(fields: Fields): Fields;
  /** The application's answer with what the options say about it. */
  told(request: AppRequest, answer: OriginAnswer): OriginAnswer;
}

/**
 * The rules of an application's own cache, shared by default.
 *
 * - What the answer says of its freshness counts; `ttl` is for one that says nothing.
 * - An answer that does not say that it is for everybody (`public` or `s-maxage`) varies on the fields of `PERSONAL`, and one to a
 *   request that has any of them is not stored. So nobody is answered by what was made for somebody.
 * - An answer varies on the fields of `ROUTING` that its request has: links made of them reach only those who sent the same.
 * - A query parameter that is a secret, or a target that is not written as its key is, goes by the cache.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function appRules(options: AppCacheOptions, beside: readonly string[] = []): AppRules {
  const { ttl, staleWhileRevalidate, tags, vary = [], cookies, sensitive = [], bypass, ...rest } = options;
  const targets = rest.targets ?? (rest.shared === false ? [] : ["cdn-cache-control"]);
  const given = { shared: true, ...rest, targets: [OWN_TARGET, ...targets] };
  const engine = resolveHttpOptions(given, [...OWN, ...beside]);
  const names = listOfNames(vary, "vary");
  const secrets = new Set([...SENSITIVE, ...listOfNames(sensitive, "sensitive").map(plain)]);
  const counted = cookies === undefined ? undefined : new Set(listOfNames(cookies, "cookies"));
  const freshness = freshnessOf(ttl, staleWhileRevalidate);
  if (bypass !== undefined && typeof bypass !== "function") throw optionError("bypass", "a function", bypass);
  const told: readonly string[] = names.map((name) => name.toLowerCase());
  // Parsing one is a good part of a hit.
  const known = new TextMemo<URL>();
  return {
    engine,
    urlOf: (scheme, host, target) => {
      const text = `${scheme}://${host ?? ""}${target}`;
      const before = known.get(text);
      if (before !== undefined) return before;
      const url = urlOf(scheme, host, target);
      return url && known.keep(text, url);
    },
    seen: (fields) => (isPersonal(fields, counted) ? fields : withoutFields(fields, COOKIE)),
    modeOf: (request) => (hasSecret(request.url, secrets) || bypass?.(request) === true ? "no-store" : "default"),
    told: (request, answer) => tellAnswer(request, answer, { engine, freshness, vary: told, tags }),
  };
}

const COOKIE: ReadonlySet<string> = new Set(["cookie"]);

/** Methods that are the cache's; the others pass, and outdate what is stored when they have succeeded. */
export const CACHED_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** What the engine asks with, and of the cookies what it was not shown. */
export function restored(asked: Fields, received: Fields, seen: Fields): Fields {
  if (received === seen || hasField(seen, "cookie")) return asked;
  const cookies = received.filter(([name]) => name === "cookie");
  return cookies.length === 0 ? asked : [...withoutFields(asked, COOKIE), ...cookies];
}

function urlOf(scheme: "http" | "https", host: string | undefined, target: string): URL | undefined {
  // Not the Host's: an absolute target names another authority, and "//" would be read as one.
  if (host === undefined || !HOST.test(host) || !target.startsWith("/")) return undefined;
  const text = `${scheme}://${host}${target}`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  // What has dot segments, backslashes or a fragment may be something else to the application than it is to the key.
  return `${url.pathname}${url.search}` === target ? url : undefined;
}

function hasSecret(url: URL, secrets: ReadonlySet<string>): boolean {
  if (url.search === "") return false;
  for (const name of url.searchParams.keys()) if (secrets.has(plain(name))) return true;
  return false;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}

interface Telling {
  readonly engine: ResolvedHttpOptions;
  readonly freshness: string | undefined;
  readonly vary: readonly string[];
  readonly tags: AppCacheOptions["tags"];
}

function tellAnswer(
  request: AppRequest,
  answer: OriginAnswer,
  { engine, freshness, vary, tags }: Telling,
): OriginAnswer {
  const fields: (readonly [string, string])[] = [...answer.fields];
  const isSilent =
    !SAYS_FRESHNESS.some((name) => hasField(fields, name)) && !engine.targets.some((name) => hasField(fields, name));
  if (isSilent && freshness !== undefined && answer.status < 500) fields.push([OWN_TARGET, freshness]);
  const varied = [...vary, ...ROUTING.filter((name) => hasField(request.fields, name))];
  if (engine.shared && !isForEverybody(answer.fields, engine.targets)) {
    varied.push(...PERSONAL);
    // Such an answer is for the one who asked.
    if (PERSONAL.some((name) => hasField(request.fields, name))) return { ...answer, fields: withPrivate(fields) };
  }
  if (varied.length > 0) fields.push(["vary", varied.join(", ")]);
  const named = typeof tags === "function" ? tags(request) : (tags ?? []);
  for (const tag of named) {
    if (typeof tag !== "string" || !TAG.test(tag))
      throw optionError("tags", "tags without blanks, commas and controls", tag);
  }
  if (named.length > 0) fields.push(["cache-tag", named.join(", ")]);
  return { ...answer, fields };
}

const SAYS_FRESHNESS: readonly string[] = ["cache-control", "expires"];
const TAG = /^[^\s,\x00-\x1f\x7f]+$/;

/** With what forbids this cache alone to keep it: the client's own goes by what the application says. */
function withPrivate(fields: Fields): Fields {
  return [...withoutFields(fields, new Set([OWN_TARGET])), [OWN_TARGET, "private"]];
}

function isForEverybody(fields: Fields, targets: readonly string[]): boolean {
  const { directives } = responseDirectives(fields, targets);
  return directives.public || directives.sMaxage !== undefined;
}

/** Whether a request is somebody's own, by the cookies that count. */
function isPersonal(fields: Fields, counted: ReadonlySet<string> | undefined): boolean {
  if (counted === undefined) return true;
  return fieldLines(fields, "cookie").some((line) =>
    line.split(";").some((pair) => counted.has((pair.split("=", 1)[0] ?? "").trim())),
  );
}

function freshnessOf(ttl: Duration | undefined, staleWhileRevalidate: Duration | undefined): string | undefined {
  if (ttl === undefined) {
    if (staleWhileRevalidate === undefined) return undefined;
    throw optionError("staleWhileRevalidate", "given with `ttl`", staleWhileRevalidate);
  }
  const fresh = seconds(ttl, "ttl");
  const stale = staleWhileRevalidate === undefined ? 0 : seconds(staleWhileRevalidate, "staleWhileRevalidate");
  return stale === 0 ? `max-age=${fresh}` : `max-age=${fresh}, stale-while-revalidate=${stale}`;
}

/** Whole seconds, as directives have them; a part of one is one. */
function seconds(duration: Duration, option: string): number {
  return Math.ceil(toMilliseconds(duration, option) / 1_000);
}

function listOfNames(names: unknown, option: string): readonly string[] {
  if (
    !Array.isArray(names) ||
    !names.every((name) => typeof name === "string" && /^[!#$%&'*+\-.^_`|~\w]+$/.test(name))
  ) {
    throw optionError(option, "an array of names", names);
  }
  return names as string[];
}

import { toMilliseconds, type Duration } from "../duration.js";
import type { HeaderOptions, QueryOptions, RouteOptions, TtlOptions } from "./config.js";

export interface ResolvedRoute {
  /** In lower case; `*.` before it for what is below. */
  readonly host: string | undefined;
  /** Without a slash at its end, so "" is all. */
  readonly path: string;
  readonly origin: string;
  readonly cache: boolean;
  readonly ttl: ResolvedTtl | undefined;
  readonly query: ResolvedQuery | undefined;
  readonly request: ResolvedHeaders & {
    readonly allow: ReadonlySet<string>;
    readonly only: ReadonlySet<string> | undefined;
  };
  readonly response: ResolvedHeaders;
}

export interface ResolvedTtl {
  readonly default: number | undefined;
  readonly override: number | undefined;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
}

export interface ResolvedQuery {
  readonly keeps: (name: string) => boolean;
  readonly sort: boolean;
}

export interface ResolvedHeaders {
  readonly set: readonly (readonly [name: string, value: string])[];
  /** The names that `set` replaces among them. */
  readonly remove: ReadonlySet<string>;
}

export function resolveRoute(options: RouteOptions): ResolvedRoute {
  const { requestHeaders } = options;
  return {
    host: options.host?.toLowerCase(),
    path: (options.path ?? "/").replace(/\/+$/, ""),
    origin: options.origin ?? "default",
    cache: options.cache ?? true,
    ttl: options.ttl === undefined ? undefined : resolveTtl(options.ttl),
    query: options.query === undefined ? undefined : resolveQuery(options.query),
    request: {
      ...resolveHeaders(requestHeaders),
      allow: lowerCase(requestHeaders?.allow ?? []),
      only: requestHeaders?.only === undefined ? undefined : lowerCase(requestHeaders.only),
    },
    response: resolveHeaders(options.responseHeaders),
  };
}

/** The first route for a host (without its port, in lower case) and a path. */
export function routeFor(routes: readonly ResolvedRoute[], host: string, path: string): ResolvedRoute | undefined {
  return routes.find((route) => matchesHost(route.host, host) && matchesPath(route.path, path));
}

export function matchesHost(pattern: string | undefined, host: string): boolean {
  if (pattern === undefined || pattern === host) return true;
  return pattern.startsWith("*.") && host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
}

function matchesPath(prefix: string, path: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === "/");
}

/** The query that is part of the key; with its question mark, or "". */
export function keyQuery(search: string, { keeps, sort }: ResolvedQuery): string {
  if (search === "") return "";
  const kept = search
    .slice(1)
    .split("&")
    .filter((pair) => pair !== "" && keeps(parameterName(pair)));
  // By name alone: the order of one name's values means something.
  if (sort) kept.sort((one, other) => compare(parameterName(one), parameterName(other)));
  return kept.length === 0 ? "" : `?${kept.join("&")}`;
}

/** A pair's name, decoded; as it stands when it cannot be. */
export function parameterName(pair: string): string {
  const end = pair.indexOf("=");
  const raw = end === -1 ? pair : pair.slice(0, end);
  try {
    return decodeURIComponent(raw.replaceAll("+", " "));
  } catch {
    return raw;
  }
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function resolveTtl(options: TtlOptions): ResolvedTtl {
  const seconds = (given: Duration | undefined): number | undefined =>
    given === undefined ? undefined : Math.floor(toMilliseconds(given, "ttl") / 1_000);
  return {
    default: seconds(options.default),
    override: seconds(options.override),
    staleWhileRevalidate: seconds(options.staleWhileRevalidate) ?? 0,
    staleIfError: seconds(options.staleIfError) ?? 0,
  };
}

function resolveQuery({ only, without = [], sort = false }: QueryOptions): ResolvedQuery {
  const isIn = only === undefined ? () => true : nameTest(only);
  const isOut = nameTest(without);
  return { sort, keeps: (name) => isIn(name) && !isOut(name) };
}

/** Whether a name is one of these; one that ends with `*` is all that begin as it does. */
function nameTest(names: readonly string[]): (name: string) => boolean {
  const exact = new Set(names);
  const beginnings = names.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => exact.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
}

function resolveHeaders({ set = {}, remove = [] }: HeaderOptions = {}): ResolvedHeaders {
  const own = Object.entries(set).map(([name, value]) => [name.toLowerCase(), value] as const);
  return { set: own, remove: lowerCase([...remove, ...own.map(([name]) => name)]) };
}

function lowerCase(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.toLowerCase()));
}

import { toMilliseconds } from "../duration.js";
import { CacheError } from "../errors.js";
import { toBytes } from "../tiers/memory/limits.js";
import { addressTest } from "./addresses.js";
import type {
  GatewayCacheOptions,
  GatewayConfig,
  HealthOptions,
  LimitOptions,
  ListenOptions,
  OriginOptions,
  RetryOptions,
} from "./config.js";
import { issuesOf } from "./config-schema.js";
import { resolveRoute, type ResolvedRoute } from "./routes.js";

/** The defaults, as data. */
export const GATEWAY_DEFAULTS = {
  name: "tiercache",
  accessLog: false,
  listen: { port: 8080, host: "127.0.0.1", http2: true },
  admin: { host: "127.0.0.1" },
  origin: {
    balance: "round-robin",
    connections: 256,
    connectTimeout: "5s",
    headersTimeout: "60s",
    bodyTimeout: "5m",
    host: "client",
  },
  retries: { most: 1, budget: 0.2, statuses: [502, 503, 504] },
  health: { failures: 5, cooldown: "10s", interval: "5s", timeout: "2s" },
  cache: {
    memory: "256mb",
    folderBytes: "1gb",
    maxBodyBytes: "4mb",
    keepStale: "1d",
    staleOnDisconnect: true,
    storeSetCookie: false,
  },
  limits: {
    headerBytes: "16kb",
    headerCount: 100,
    targetBytes: "8kb",
    bodyBytes: "1gb",
    headersTimeout: "15s",
    bodyTimeout: "30s",
    stallTimeout: "30s",
    keepAliveTimeout: "60s",
    connections: 10_000,
    shutdownTimeout: "30s",
  },
} as const;

/** Names of secrets in queries, compared in lower case. */
export const SENSITIVE_QUERY: readonly string[] = [
  "access_token",
  "api_key",
  "api-key",
  "apikey",
  "auth",
  "id_token",
  "jwt",
  "passwd",
  "password",
  "refresh_token",
  "secret",
  "session",
  "session_id",
  "sessionid",
  "sig",
  "signature",
  "token",
  "x-amz-security-token",
  "x-amz-signature",
  "x-goog-signature",
];

export interface ResolvedOrigin {
  readonly name: string;
  readonly urls: readonly URL[];
  readonly balance: "round-robin" | "least-pending";
  readonly connections: number;
  readonly connectTimeout: number;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  readonly retries: { readonly most: number; readonly budget: number; readonly statuses: readonly number[] };
  readonly health: ResolvedHealth;
  readonly host: "client" | "own";
  readonly ca: string | undefined;
}

export interface ResolvedHealth {
  readonly failures: number;
  readonly cooldown: number;
  readonly path: string | undefined;
  readonly interval: number;
  readonly timeout: number;
}

export interface ResolvedLimits {
  readonly headerBytes: number;
  readonly headerCount: number;
  readonly targetBytes: number;
  readonly bodyBytes: number;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  readonly stallTimeout: number;
  readonly keepAliveTimeout: number;
  readonly connections: number;
  readonly shutdownTimeout: number;
}

export interface ResolvedListen {
  readonly port: number;
  readonly host: string;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly http2: boolean;
}

export interface ResolvedConfig {
  readonly name: string;
  readonly origins: ReadonlyMap<string, ResolvedOrigin>;
  readonly routes: readonly ResolvedRoute[];
  readonly listen: ResolvedListen;
  readonly admin: { readonly port: number; readonly host: string; readonly token: string | undefined } | undefined;
  readonly cache: ResolvedCache;
  readonly limits: ResolvedLimits;
  readonly hosts: readonly string[] | undefined;
  readonly isTrusted: (address: string) => boolean;
  readonly sensitiveQuery: ReadonlySet<string>;
  readonly accessLog: boolean;
}

export interface ResolvedCache {
  readonly memory: number;
  readonly folder: string | undefined;
  readonly folderBytes: number;
  readonly redis: string | undefined;
  readonly maxBodyBytes: number;
  readonly keepStale: number;
  readonly staleOnDisconnect: boolean;
  readonly storeSetCookie: boolean;
}

/** @throws CacheError `ERR_CACHE_OPTION` that says all that is wrong, a line each. */
export function resolveConfig(config: GatewayConfig): ResolvedConfig {
  const issues = issuesOf(config);
  if (issues.length > 0) throw new CacheError("ERR_CACHE_OPTION", issues.map(({ message }) => message).join("\n"));
  const name = config.name ?? GATEWAY_DEFAULTS.name;
  const groups = Object.entries(config.origins ?? {});
  if (config.origin !== undefined) groups.push(["default", { urls: [config.origin] }]);
  return {
    name,
    origins: new Map(groups.map(([group, options]) => [group, resolveOrigin(group, options)])),
    routes: [...(config.routes ?? []), {}].map((route) => resolveRoute(route)),
    listen: resolveListen(config.listen),
    admin: resolveAdmin(config.admin),
    cache: resolveCache(config.cache),
    limits: resolveLimits(config.limits),
    hosts: config.hosts?.map((host) => host.toLowerCase()),
    isTrusted: addressTest(config.trustedProxies ?? []),
    sensitiveQuery: new Set((config.sensitiveQuery ?? SENSITIVE_QUERY).map((parameter) => parameter.toLowerCase())),
    accessLog: config.accessLog ?? GATEWAY_DEFAULTS.accessLog,
  };
}

function resolveOrigin(name: string, options: OriginOptions): ResolvedOrigin {
  const all = filled(GATEWAY_DEFAULTS.origin, options);
  return {
    name,
    urls: options.urls.map((url) => new URL(url)),
    balance: all.balance,
    connections: all.connections,
    connectTimeout: toMilliseconds(all.connectTimeout, "connectTimeout"),
    headersTimeout: toMilliseconds(all.headersTimeout, "headersTimeout"),
    bodyTimeout: toMilliseconds(all.bodyTimeout, "bodyTimeout"),
    retries: resolveRetries(options.retries),
    health: resolveHealth(options.health),
    host: all.host,
    ca: options.ca,
  };
}

function resolveRetries(options: RetryOptions = {}): ResolvedOrigin["retries"] {
  return filled(GATEWAY_DEFAULTS.retries, options);
}

function resolveHealth(options: HealthOptions = {}): ResolvedHealth {
  const all = filled(GATEWAY_DEFAULTS.health, options);
  return {
    failures: all.failures,
    cooldown: toMilliseconds(all.cooldown, "cooldown"),
    path: options.path,
    interval: toMilliseconds(all.interval, "interval"),
    timeout: toMilliseconds(all.timeout, "timeout"),
  };
}

function resolveListen(options: ListenOptions = {}): ResolvedListen {
  return { tls: undefined, ...filled(GATEWAY_DEFAULTS.listen, options) };
}

function resolveAdmin(options: GatewayConfig["admin"]): ResolvedConfig["admin"] {
  if (options === undefined || options === false) return undefined;
  return { port: options.port, host: options.host ?? GATEWAY_DEFAULTS.admin.host, token: options.token };
}

function resolveCache(options: GatewayCacheOptions = {}): ResolvedCache {
  const all = filled(GATEWAY_DEFAULTS.cache, options);
  return {
    memory: toBytes(all.memory, "memory"),
    folder: options.folder,
    folderBytes: toBytes(all.folderBytes, "folderBytes"),
    redis: options.redis,
    maxBodyBytes: toBytes(all.maxBodyBytes, "maxBodyBytes"),
    keepStale: toMilliseconds(all.keepStale, "keepStale"),
    staleOnDisconnect: all.staleOnDisconnect,
    storeSetCookie: all.storeSetCookie,
  };
}

function resolveLimits(options: LimitOptions = {}): ResolvedLimits {
  const all = filled(GATEWAY_DEFAULTS.limits, options);
  return {
    headerBytes: toBytes(all.headerBytes, "headerBytes"),
    headerCount: all.headerCount,
    targetBytes: toBytes(all.targetBytes, "targetBytes"),
    bodyBytes: toBytes(all.bodyBytes, "bodyBytes"),
    headersTimeout: toMilliseconds(all.headersTimeout, "headersTimeout"),
    bodyTimeout: toMilliseconds(all.bodyTimeout, "bodyTimeout"),
    stallTimeout: toMilliseconds(all.stallTimeout, "stallTimeout"),
    keepAliveTimeout: toMilliseconds(all.keepAliveTimeout, "keepAliveTimeout"),
    connections: all.connections,
    shutdownTimeout: toMilliseconds(all.shutdownTimeout, "shutdownTimeout"),
  };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

type Filled<D, O> = { [K in keyof D]: K extends keyof O ? Exclude<O[K], undefined> : D[K] } & Omit<Defined<O>, keyof D>;

/** The options, with the default where there is none or `undefined`. */
function filled<D extends object, O extends object>(defaults: D, options: O): Filled<D, O> {
  const given = Object.entries(options).filter(([, own]) => own !== undefined);
  // Of that shape by construction; `Object.fromEntries` knows no names.
  return { ...defaults, ...Object.fromEntries(given) } as Filled<D, O>;
}

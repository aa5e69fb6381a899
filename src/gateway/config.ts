import type { Duration } from "../duration.js";

/** What a gateway does. Every field may be left out; a file of it is JSON or TypeScript. */
export interface GatewayConfig {
  /** Where requests go: short for `origins: { default: { urls: [origin] } }`. @default none */
  origin?: string | undefined;
  /** Groups of servers that answer alike, by name; `default` is that of routes that name none. @default {} */
  origins?: Readonly<Record<string, OriginOptions>> | undefined;
  /** The first that matches counts; what none matches is cached by the RFC's rules and goes to `default`. @default [] */
  routes?: readonly RouteOptions[] | undefined;
  /** Where clients connect. Changing it needs a restart, all but the certificate. */
  listen?: ListenOptions | undefined;
  /** The port for operators; false for none. @default false */
  admin?: AdminOptions | false | undefined;
  /** Where responses are kept. Changing it needs a restart. */
  cache?: GatewayCacheOptions | undefined;
  /** What clients may send, and how slowly. */
  limits?: LimitOptions | undefined;
  /** Hosts that are served, without ports; `*.example.org` is any below it. Others get 421. @default all */
  hosts?: readonly string[] | undefined;
  /** Addresses (or networks such as `10.0.0.0/8`) whose X-Forwarded-* are believed and appended to. @default [] */
  trustedProxies?: readonly string[] | undefined;
  /** Query parameters that are secrets: such a request goes past the cache, and logs do not say their values. */
  sensitiveQuery?: readonly string[] | undefined;
  /** One line of JSON for each request. @default false */
  accessLog?: boolean | undefined;
  /** Names the gateway in Via, Cache-Status and Proxy-Status. @default "tiercache" */
  name?: string | undefined;
}

/** Servers that answer alike. */
export interface OriginOptions {
  /** Their addresses: scheme, host and port. */
  urls: readonly string[];
  /** Which is asked next. @default "round-robin" */
  balance?: "round-robin" | "least-pending" | undefined;
  /** Most connections to each. @default 256 */
  connections?: number | undefined;
  /** Longest wait for a connection. @default "5s" */
  connectTimeout?: Duration | undefined;
  /** Longest wait for an answer's head. @default "60s" */
  headersTimeout?: Duration | undefined;
  /** Longest silence within a body. @default "5m" */
  bodyTimeout?: Duration | undefined;
  /** Repeating safe requests without a body on another server. */
  retries?: RetryOptions | undefined;
  /** Finding out which servers are well. */
  health?: HealthOptions | undefined;
  /** The Host they are sent: the client's, or each server's own. @default "client" */
  host?: "client" | "own" | undefined;
  /** File of certificates (PEM) to trust besides the well-known. @default none */
  ca?: string | undefined;
}

export interface RetryOptions {
  /** Most repetitions of one request; 0 for none. @default 1 */
  most?: number | undefined;
  /** Repetitions for each request, on average: beyond it failures are answered as they come. @default 0.2 */
  budget?: number | undefined;
  /** Statuses that are a failure of the server, besides no answer at all. @default [502, 503, 504] */
  statuses?: readonly number[] | undefined;
}

export interface HealthOptions {
  /** Failures in a row that take a server out. @default 5 */
  failures?: number | undefined;
  /** How long it is out at first; twice as long each time, to 8 times this. @default "10s" */
  cooldown?: Duration | undefined;
  /** A path that is asked now and then, and answers 200 to 399 when all is well. @default none */
  path?: string | undefined;
  /** How often. @default "5s" */
  interval?: Duration | undefined;
  /** Longest wait for that answer. @default "2s" */
  timeout?: Duration | undefined;
}

/** What is done for some of the requests. */
export interface RouteOptions {
  /** A host, without a port, or `*.example.org`. @default any */
  host?: string | undefined;
  /** A path and what lies below it, by whole segments. @default "/" */
  path?: string | undefined;
  /** A group of `origins`. @default "default" */
  origin?: string | undefined;
  /** False: nothing is stored, and nothing answered from the store. @default true */
  cache?: boolean | undefined;
  /** How long responses are fresh, where the origin does not say, or says something else. */
  ttl?: TtlOptions | undefined;
  /** Which of the query is part of the key. */
  query?: QueryOptions | undefined;
  /** Fields of requests on their way to the origin. */
  requestHeaders?: RequestHeaderOptions | undefined;
  /** Fields of responses, changed before they are stored. */
  responseHeaders?: HeaderOptions | undefined;
}

/** Rules apply to 200, 203, 301, 308, 404 and 410, and never to what is private, no-store or sets a cookie. */
export interface TtlOptions {
  /** When the origin says nothing about caching. @default none */
  default?: Duration | undefined;
  /** Instead of what the origin says. @default none */
  override?: Duration | undefined;
  /** Serve stale for so long while a new one is fetched; with one of the above. @default 0 */
  staleWhileRevalidate?: Duration | undefined;
  /** Serve stale for so long when the origin fails; with one of the above. @default 0 */
  staleIfError?: Duration | undefined;
}

/** A parameter that is no part of the key of a GET or HEAD does not reach the origin with it either. */
export interface QueryOptions {
  /** Only these. @default all */
  only?: readonly string[] | undefined;
  /** All but these; `utm_*` is all that begin so. @default none */
  without?: readonly string[] | undefined;
  /** Put in order, by name; parameters of one name keep theirs. @default false */
  sort?: boolean | undefined;
}

export interface HeaderOptions {
  /** Fields with these values, in place of what there is. @default {} */
  set?: Readonly<Record<string, string>> | undefined;
  /** Fields that are taken away. @default [] */
  remove?: readonly string[] | undefined;
}

export interface RequestHeaderOptions extends HeaderOptions {
  /** Of fields whose names the gateway knows to be dangerous, those that may pass. @default [] */
  allow?: readonly string[] | undefined;
  /** Of GET and HEAD, only these pass, and conditions and ranges. @default all */
  only?: readonly string[] | undefined;
}

export interface ListenOptions {
  /** 0 takes a free one. @default 8080 */
  port?: number | undefined;
  /** An address of this machine. @default "127.0.0.1" */
  host?: string | undefined;
  /** Files of a certificate and its key (PEM), read again on reload. With it the port speaks TLS. @default none */
  tls?: { cert: string; key: string } | undefined;
  /** HTTP/2 beside HTTP/1.1, with TLS. @default true */
  http2?: boolean | undefined;
}

export interface AdminOptions {
  /** 0 takes a free one. */
  port: number;
  /** An address of this machine; one that is not loopback needs a token. @default "127.0.0.1" */
  host?: string | undefined;
  /** Sent as `Authorization: Bearer …` with purges and reloads; without one there are none. 16 characters or more. @default none */
  token?: string | undefined;
}

export interface GatewayCacheOptions {
  /** Memory of each process. @default "256mb" */
  memory?: number | string | undefined;
  /** A folder of this machine that its processes share (needs the package `lmdb`). @default none */
  folder?: string | undefined;
  /** Most bytes in the folder. @default "1gb" */
  folderBytes?: number | string | undefined;
  /** A Redis that machines share (needs the package `redis`), instead of a folder. @default none */
  redis?: string | undefined;
  /** Longest body that is stored. @default "4mb" */
  maxBodyBytes?: number | string | undefined;
  /** How long a response is kept past its freshness. @default "1d" */
  keepStale?: Duration | undefined;
  /** Serve stale when the origin cannot be reached, unless the response forbids it. @default true */
  staleOnDisconnect?: boolean | undefined;
  /** Store responses with Set-Cookie, and replay it. @default false */
  storeSetCookie?: boolean | undefined;
}

export interface LimitOptions {
  /** Bytes of a request's head. @default "16kb" */
  headerBytes?: number | string | undefined;
  /** Fields of a request. @default 100 */
  headerCount?: number | undefined;
  /** Bytes of a request's target. @default "8kb" */
  targetBytes?: number | string | undefined;
  /** Bytes of a request's body. @default "1gb" */
  bodyBytes?: number | string | undefined;
  /** Longest time a request's head may take. @default "15s" */
  headersTimeout?: Duration | undefined;
  /** Longest silence within a request's body. @default "30s" */
  bodyTimeout?: Duration | undefined;
  /** Longest time a client may leave written bytes lying. @default "30s" */
  stallTimeout?: Duration | undefined;
  /** How long a connection without a request stays open. @default "60s" */
  keepAliveTimeout?: Duration | undefined;
  /** Most connections of clients, of each process. @default 10000 */
  connections?: number | undefined;
  /** How long requests under way have when the gateway stops. @default "30s" */
  shutdownTimeout?: Duration | undefined;
}

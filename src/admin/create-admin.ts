import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Cache } from "../api.js";
import { CacheError } from "../errors.js";
import { optionError } from "../policy.js";
import { nodeHandler, type NodeHandler } from "./node-handler.js";
import { LOOPBACK, resolveAdmin, type AdminOptions, type AdminSettings } from "./options.js";
import { Routes } from "./routes.js";
import { Watch } from "./watch.js";

export interface AdminListenOptions {
  /** @default 0: any that is free */
  port?: number | undefined;
  /** Where it can be reached from. Anything but loopback needs `tokens` or `authenticate`, and its name in `hosts`. @default "127.0.0.1" */
  host?: string | undefined;
}

/** How long a request may take to arrive, its body too; milliseconds. */
const PATIENCE = 15_000;

/** An admin's own server. */
export interface AdminServer {
  readonly port: number;
  /** With the token in its fragment, which browsers do not send, where this process made the token. */
  readonly url: string;
  close(): Promise<void>;
}

/** The admin side of caches: a page and the API behind it. */
export interface Admin {
  /** Answers a request, for servers that speak fetch. */
  fetch(request: Request): Promise<Response>;
  /** Answers a request of `node:http`, and of what is built on it. */
  readonly handler: NodeHandler;
  /** The token that was made at random; `undefined` where tokens, or who asks, were given. */
  readonly token: string | undefined;
  /** A server of its own. @throws CacheError `ERR_CACHE_OPTION` for an address that others reach, without a token of yours. */
  listen(options?: AdminListenOptions): Promise<AdminServer>;
  /** Stops timers, streams and servers. The caches stay open. */
  close(): Promise<void>;
}

/**
 * The admin side of one cache or several: see docs/dashboard.md.
 *
 * @example
 * const admin = createAdmin(cache, { environment: "development" });
 * console.log((await admin.listen()).url);
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function createAdmin(caches: Cache | readonly Cache[], options: AdminOptions = {}): Admin {
  const settings = resolveAdmin(options);
  const list = Array.isArray(caches) ? (caches as readonly Cache[]) : [caches as Cache];
  if (list.length === 0 || list.some((cache) => typeof cache?.inspect !== "function"))
    throw optionError("caches", "a cache, or a list of caches", caches);
  const names = list.map((cache) => cache.inspect().cacheName);
  if (new Set(names).size < names.length) throw optionError("caches", "caches of different names", names.join(", "));
  const watch = new Watch(list, settings);
  const routes = new Routes(settings, watch);
  const servers = new Set<AdminServer>();
  const fetch = (request: Request): Promise<Response> => routes.fetch(request);
  const handler = nodeHandler(fetch);
  const token = settings.madeToken ? [...settings.tokens.values()][0] : undefined;
  return {
    fetch,
    handler,
    token,
    async listen(where = {}): Promise<AdminServer> {
      const server = await listen(handler, settings, token, where);
      servers.add(server);
      return server;
    },
    async close(): Promise<void> {
      await Promise.all([watch.close(), ...[...servers].map((server) => server.close())]);
    },
  };
}

async function listen(
  handler: NodeHandler,
  settings: AdminSettings,
  token: string | undefined,
  { port = 0, host = "127.0.0.1" }: AdminListenOptions,
): Promise<AdminServer> {
  if (!isLoopback(host) && settings.madeToken) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`tokens\` or \`authenticate\` to be given where others can reach it, got \`${host}\` without`,
    );
  }
  const server = createServer({ requestTimeout: PATIENCE, headersTimeout: PATIENCE }, handler);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    port: bound,
    url: `http://${name}:${bound}${settings.path}/${token === undefined ? "" : `#token=${token}`}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function isLoopback(host: string): boolean {
  return LOOPBACK.includes(host) || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

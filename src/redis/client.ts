import { CacheError } from "../errors.js";

/** The calls made on a node-redis (5 or later) client. */
export interface NodeRedisLike {
  readonly isOpen: boolean;
  readonly isReady?: boolean | undefined;
  readonly options?: object | undefined;
  sendCommand(
    args: readonly (string | Uint8Array)[],
    options?: { readonly typeMapping?: Readonly<Record<number, unknown>> },
  ): Promise<unknown>;
  duplicate(): NodeRedisLike;
  connect(): Promise<unknown>;
  destroy(): void;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  unsubscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** The calls made on an ioredis (5 or later) client. */
export interface IoRedisLike {
  readonly status: string;
  readonly options?: object | undefined;
  mgetBuffer(keys: string[]): Promise<unknown>;
  callBuffer(command: string, ...args: (string | number | Uint8Array)[]): Promise<unknown>;
  duplicate(override?: object): IoRedisLike;
  connect(): Promise<unknown>;
  disconnect(): void;
  subscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

/**
 * One client of yours: node-redis (`createClient()`) or ioredis (`new Redis()`, Sentinel included). It stays yours:
 * connecting and closing it is never done here, and none of its listeners is touched.
 */
export type RedisLike = NodeRedisLike | IoRedisLike;

/**
 * Tells the two libraries apart.
 *
 * @param option names the option in the error.
 * @throws CacheError `ERR_CACHE_OPTION` for anything else: a pool, a cluster, a node-redis sentinel client.
 */
export function isIoRedis(client: RedisLike, option: string): client is IoRedisLike {
  // Looked at as unknown: a caller in plain JavaScript may hand over anything.
  const given: unknown = client;
  if (typeof given === "object" && given !== null && !isDistributed(given)) {
    if (hasMethods(given, ["callBuffer", "mgetBuffer", "duplicate", "subscribe"])) return true;
    if (hasMethods(given, ["sendCommand", "duplicate", "connect", "subscribe", "destroy"])) return false;
  }
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`${option}\` to be one client of node-redis (5 or later) or ioredis (5 or later), not a pool, a cluster or something else`,
  );
}

/** One atomic step touches an entry, the log and the head: they must live on one server. */
function isDistributed(client: object): boolean {
  return ("isCluster" in client && client.isCluster === true) || "masters" in client || hasMethods(client, ["acquire"]);
}

function hasMethods(client: object, names: readonly string[]): boolean {
  return names.every((name) => typeof Reflect.get(client, name) === "function");
}

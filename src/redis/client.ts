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
  duplicate(override?: object): NodeRedisLike;
  connect(): Promise<unknown>;
  destroy(): void;
  subscribe(channel: string, listener: (message: string, channel: string) => void): Promise<unknown>;
  unsubscribe(channel: string, listener: (message: string, channel: string) => void): Promise<unknown>;
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

/** The calls made on one server's client inside a node-redis cluster or sentinel. */
export interface NodeRedisNodeLike extends NodeRedisLike {
  duplicate(overrides?: object): NodeRedisNodeLike;
  sSubscribe(channel: string, listener: (message: string, channel: string) => void): Promise<unknown>;
  sUnsubscribe(channel: string, listener: (message: string, channel: string) => void): Promise<unknown>;
}

/** The calls made on a node-redis (5 or later) cluster client. */
export interface NodeRedisClusterLike {
  readonly isOpen: boolean;
  readonly isReady?: boolean | undefined;
  readonly masters: readonly NodeRedisMaster[];
  /** By slot; a slot nobody serves is missing. */
  readonly slots: readonly ({ readonly master: NodeRedisMaster } | undefined)[];
  nodeClient(node: NodeRedisMaster): Promise<NodeRedisNodeLike>;
  /** Asks a server for the places of all: without it the client learns of a lost master late (6) or never (5). */
  readonly _slots?: { rediscover?(startWith: NodeRedisNodeLike | undefined): Promise<unknown> } | undefined;
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: readonly (string | Uint8Array)[],
    options?: { readonly typeMapping?: Readonly<Record<number, unknown>> },
  ): Promise<unknown>;
  duplicate(overrides?: object): NodeRedisClusterLike;
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

export interface NodeRedisMaster {
  readonly address: string;
  readonly client?: NodeRedisNodeLike | undefined;
}

/** The calls made on a node-redis (5 or later) sentinel client. */
export interface NodeRedisSentinelLike {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  getMasterNode(): { readonly host: string; readonly port: number } | undefined;
  sendCommand(
    isReadonly: boolean | undefined,
    args: readonly (string | Uint8Array)[],
    options?: { readonly typeMapping?: Readonly<Record<number, unknown>> },
  ): Promise<unknown>;
  /** Gives the master's client: a subscription is made beside it, and says when it is lost, which the sentinel's does not. */
  _execute<T>(isReadonly: boolean | undefined, use: (master: NodeRedisNodeLike) => Promise<T>): Promise<T>;
  /** Missing in node-redis 5. */
  duplicate?(): NodeRedisSentinelLike;
  connect(): Promise<unknown>;
  destroy(): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** The calls made on one server's client inside an ioredis cluster. */
export interface IoRedisNodeLike {
  readonly options?: object | undefined;
  duplicate(override?: object): IoRedisNodeLike;
  connect(): Promise<unknown>;
  disconnect(): void;
  ssubscribe(channel: string): Promise<unknown>;
  sunsubscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** The calls made on an ioredis (5 or later) cluster client. */
export interface IoRedisClusterLike {
  readonly isCluster: boolean;
  readonly status: string;
  readonly options?: object | undefined;
  /** By slot: the addresses of its master and its replicas. */
  readonly slots: readonly (readonly string[])[];
  nodes(role: "master"): IoRedisNodeLike[];
  mgetBuffer(keys: string[]): Promise<unknown>;
  callBuffer(command: string, ...args: (string | number | Uint8Array)[]): Promise<unknown>;
  duplicate(nodes?: [], options?: object): IoRedisClusterLike;
  connect(): Promise<unknown>;
  disconnect(): void;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

/**
 * One client of yours: node-redis (`createClient()`) or ioredis (`new Redis()`, by sentinels too). It stays yours:
 * connecting and closing it is never done here, and none of its listeners is touched.
 */
export type RedisLike = NodeRedisLike | IoRedisLike;

/** A cluster client of yours: node-redis (`createCluster()`) or ioredis (`new Cluster()`). It stays yours as well. */
export type RedisClusterLike = NodeRedisClusterLike | IoRedisClusterLike;

/**
 * Tells the two libraries apart.
 *
 * @param option names the option in the error.
 * @throws CacheError `ERR_CACHE_OPTION` for anything else: a pool, a cluster, a node-redis sentinel client, a client that
 * is bound to a replica.
 */
export function isIoRedis(client: RedisLike, option: string): client is IoRedisLike {
  // Looked at as unknown: a caller in plain JavaScript may hand over anything.
  const given: unknown = client;
  if (isObject(given) && !isDistributed(given)) {
    if (hasMethods(given, ["callBuffer", "mgetBuffer", "duplicate", "subscribe"])) {
      refuseReplica(given, option);
      return true;
    }
    if (hasMethods(given, ["sendCommand", "duplicate", "connect", "subscribe", "destroy"])) return false;
  }
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`${option}\` to be one client of node-redis (5 or later) or ioredis (5 or later), not a pool, ${option === "client" ? "" : "a cluster, "}or something else`,
  );
}

/**
 * Whether it is a cluster client.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for one that reads from replicas, which lag behind.
 */
export function isCluster(client: unknown): client is RedisClusterLike {
  if (!isObject(client)) return false;
  if (!isIoRedisCluster(client)) return hasMethods(client, ["nodeClient", "sendCommand"]) && "slots" in client;
  const reads = optionOf(client, "scaleReads");
  if (reads !== undefined && reads !== "master") {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`client\` to read from masters (\`scaleReads\` "master"), got \`${typeof reads === "string" ? reads : typeof reads}\`: replicas lag behind`,
    );
  }
  return true;
}

export function isIoRedisCluster(client: object): client is IoRedisClusterLike {
  return (
    "isCluster" in client && client.isCluster === true && hasMethods(client, ["nodes", "callBuffer", "mgetBuffer"])
  );
}

/** Whether it is a node-redis sentinel client; ioredis' is one client like any other. */
export function isSentinel(client: unknown): client is NodeRedisSentinelLike {
  return isObject(client) && hasMethods(client, ["getMasterNode", "sendCommand", "_execute"]);
}

/** A sentinel's client may be bound to the replicas, by its `role`. */
function refuseReplica(client: object, option: string): void {
  if (optionOf(client, "role") !== "slave") return;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`${option}\` to be connected to the master, got one with \`role\` "slave": replicas lag behind`,
  );
}

/** One atomic step touches an entry, the log and the head: they must live on one server. */
function isDistributed(client: object): boolean {
  return ("isCluster" in client && client.isCluster === true) || "masters" in client || hasMethods(client, ["acquire"]);
}

function optionOf(client: object, name: string): unknown {
  const options: unknown = Reflect.get(client, "options");
  return isObject(options) ? Reflect.get(options, name) : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function hasMethods(client: object, names: readonly string[]): boolean {
  return names.every((name) => typeof Reflect.get(client, name) === "function");
}

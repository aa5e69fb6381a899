import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext } from "node:tls";

import type { Cache } from "../api.js";
import { systemClock, type Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import { HttpEngine } from "../http/engine.js";
import { type NodeRequest, type NodeResponse } from "../http/node/answer.js";
import { resolveHttpOptions } from "../http/options.js";
import { purge, type PurgeTarget } from "../http/purge.js";
import { accessEntry, type AccessEntry } from "./access-log.js";
import { AdminServer, type AdminHandler } from "./admin.js";
import type { GatewayConfig } from "./config.js";
import { Counters, type GatewayCounts } from "./counters.js";
import { Listener, type Certificate } from "./listener.js";
import { Origin, type OriginStats } from "./origin.js";
import { Passage } from "./passage.js";
import { KnownTargets } from "./request.js";
import { resolveConfig, type ResolvedConfig, type ResolvedListen } from "./resolve-config.js";
import { TARGETS } from "./ttl.js";
import { openCache, type OwnCache } from "./tiers.js";
import { loadUndici, type MakePool } from "./undici.js";

/** What a gateway is given beside its configuration. */
export interface GatewayOptions {
  /** Where responses are kept, instead of a cache of the gateway's own; it is not closed with the gateway. @default made of `config.cache` */
  cache?: Cache | undefined;
  /** Reads the configuration again, for a reload that brings none. @default the same again, its certificates read anew */
  load?: (() => Promise<GatewayConfig>) | undefined;
  /** Gets an entry for each request, when `accessLog` is true. @default none */
  log?: ((entry: AccessEntry) => void) | undefined;
  /** This gateway in Via, by which it knows what it has forwarded already; the same for processes of one gateway. @default its name and something random */
  via?: string | undefined;
  /** @default the machine's */
  clock?: Clock | undefined;
}

export interface GatewayStats extends GatewayCounts {
  readonly origins: Readonly<Record<string, OriginStats>>;
}

export interface GatewayAddress {
  readonly url: string;
  readonly port: number;
  /** Of the admin port, if there is one. */
  readonly adminPort: number | undefined;
}

/** A caching reverse proxy in this process. */
export interface Gateway {
  /** Its cache: from the first `start`. */
  readonly cache: Cache | undefined;
  /** Listens. @throws CacheError `ERR_CACHE_OPTION` when it cannot: a port is taken, a package or a certificate is missing. */
  start(): Promise<GatewayAddress>;
  /** Takes nothing more, lets requests end within `limits.shutdownTimeout`, and then is gone. Twice is once. */
  stop(): Promise<void>;
  /**
   * Goes on by another configuration: requests under way end by the old one, and none is refused for it. One that does not hold
   * changes nothing.
   *
   * @throws CacheError `ERR_CACHE_OPTION`, also for what needs a restart (`listen`, `cache`, `admin`).
   */
  reload(config?: GatewayConfig): Promise<void>;
  /** Whether each origin has a server that is well, and the gateway is not stopping. */
  isReady(): boolean;
  stats(): GatewayStats;
  /** Removes responses, or with `soft` makes them stale, here and wherever the shared tier reaches. */
  purge(targets: readonly PurgeTarget[], mode?: "hard" | "soft"): Promise<void>;
  /** Gives a handler of node:http a part of the admin port. */
  mount(prefix: string, handler: AdminHandler): void;
}

/**
 * A caching reverse proxy: RFC 9111 in front of origins, by a configuration.
 *
 * @example
 * const gateway = createGateway({ origin: "http://127.0.0.1:3000" });
 * const { url } = await gateway.start(); // http://127.0.0.1:8080
 *
 * @throws CacheError `ERR_CACHE_OPTION` that says all that is wrong, or that `undici` is not installed.
 */
export function createGateway(config: GatewayConfig, options: GatewayOptions = {}): Gateway {
  return new GatewayProcess(config, options);
}

/** What a request is answered by from its beginning to its end, whatever is reloaded meanwhile. */
interface Generation {
  readonly config: ResolvedConfig;
  readonly origins: ReadonlyMap<string, Origin>;
  readonly targets: KnownTargets;
}

interface Running {
  readonly own: OwnCache | undefined;
  readonly cache: Cache;
  readonly engine: HttpEngine;
  readonly listener: Listener;
  readonly admin: AdminServer | undefined;
}

class GatewayProcess implements Gateway {
  readonly #options: GatewayOptions;
  readonly #clock: Clock;
  readonly #makePool: MakePool;
  readonly #counters = new Counters();
  readonly #mounts: (readonly [prefix: string, handler: AdminHandler])[] = [];
  readonly #via: string;
  #given: GatewayConfig;
  #current: Generation;
  #running: Running | undefined;
  #isStopping = false;
  #stopped: Promise<void> | undefined;
  /** Reloads happen one after another. */
  #reloading: Promise<void> = Promise.resolve();
  /** Of earlier configurations, until what they do has ended. */
  readonly #leaving = new Set<Origin>();

  constructor(config: GatewayConfig, options: GatewayOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#given = config;
    this.#makePool = loadUndici();
    const resolved = resolveConfig(config);
    this.#via = options.via ?? `${resolved.name}-${randomBytes(4).toString("hex")}`;
    this.#current = { config: resolved, origins: new Map(), targets: new KnownTargets() };
  }

  get cache(): Cache | undefined {
    return this.#running?.cache;
  }

  async start(): Promise<GatewayAddress> {
    if (this.#running !== undefined) throw new CacheError("ERR_CACHE_CLOSED", "The gateway was started before");
    const { config } = this.#current;
    const certificate = await certificateOf(config.listen);
    const own = this.#options.cache === undefined ? await openCache(config.cache, this.#clock) : undefined;
    const origins = await this.#originsOf(config).catch(async (error: unknown) => {
      await own?.close();
      throw error;
    });
    // One of them there is.
    const cache = this.#options.cache ?? (own as OwnCache).cache;
    const engine = new HttpEngine(cache, this.#httpOptions(config));
    const handlers = {
      request: (incoming: NodeRequest, outgoing: NodeResponse, expects: boolean) =>
        this.#request(incoming, outgoing, expects),
      upgrade: (incoming: IncomingMessage, socket: Duplex, head: Uint8Array) => this.#upgrade(incoming, socket, head),
    };
    const listener = new Listener(config.listen, config.limits, certificate, handlers, this.#clock);
    const admin = config.admin === undefined ? undefined : new AdminServer(config.admin, this.#operations());
    for (const [prefix, handler] of this.#mounts) admin?.mount(prefix, handler);
    this.#current = { config, origins, targets: new KnownTargets() };
    this.#running = { own, cache, engine, listener, admin };
    try {
      const adminPort = (await admin?.open())?.port;
      return { ...addressOf(config.listen, await listener.open()), adminPort };
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#isStopping = true;
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    await running.listener.close(this.#current.config.limits.shutdownTimeout);
    await Promise.all([...this.#current.origins.values(), ...this.#leaving].map((origin) => origin.destroy()));
    await running.admin?.close();
    await running.own?.close();
  }

  reload(config?: GatewayConfig): Promise<void> {
    const next = this.#reloading.then(() => this.#reload(config));
    // The next one waits for this one, whatever becomes of it; its caller hears.
    this.#reloading = next.catch(() => undefined);
    return next;
  }

  async #reload(given: GatewayConfig | undefined): Promise<void> {
    const running = this.#running;
    if (running === undefined || this.#isStopping) throw new CacheError("ERR_CACHE_CLOSED", "The gateway does not run");
    const config = given ?? (await this.#options.load?.()) ?? this.#given;
    const resolved = resolveConfig(config);
    this.#checkUnchanged(resolved);
    const certificate = await certificateOf(resolved.listen);
    const origins = await this.#originsOf(resolved);
    const before = this.#current;
    // From here on nothing is awaited: a request has all of one configuration or all of the other.
    this.#given = config;
    this.#current = { config: resolved, origins, targets: new KnownTargets() };
    if (certificate !== undefined) running.listener.setCertificate(certificate);
    running.listener.setLimits(resolved.limits);
    for (const [name, origin] of before.origins) if (origins.get(name) !== origin) this.#leave(origin);
  }

  /** What was taken up at the start. */
  #checkUnchanged(next: ResolvedConfig): void {
    const now = this.#current.config;
    const changed = (["listen", "admin", "cache", "name"] as const).find((name) => !isSame(next[name], now[name]));
    const name = next.limits.headerBytes === now.limits.headerBytes ? changed : (changed ?? "limits.headerBytes");
    if (name === undefined) return;
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`${name}\` to be as before: changing it needs a restart`);
  }

  /** Closes an origin that no new request goes to, when those under way have ended. */
  #leave(origin: Origin): void {
    this.#leaving.add(origin);
    // A request that was looked over before comes to it within a read of the store, or a wait for another's answer.
    this.#clock.after(LEAVING, () => {
      // Destroyed meanwhile, it has nothing left to close.
      origin
        .close()
        .catch(() => undefined)
        .finally(() => this.#leaving.delete(origin));
    });
  }

  /** Origins by a configuration; those that are as before are the same ones, with their connections and their health. */
  async #originsOf(config: ResolvedConfig): Promise<ReadonlyMap<string, Origin>> {
    const authorities = new Map<string, string>();
    for (const [name, { ca }] of config.origins) {
      if (ca !== undefined) authorities.set(name, (await readBytes(ca, `origins.${name}.ca`)).toString("utf8"));
    }
    // All of what may fail has been read: none of them is made in vain.
    const origins = new Map<string, Origin>();
    for (const [name, options] of config.origins) {
      const before = this.#current.origins.get(name);
      const authority = authorities.get(name);
      const isKept = before !== undefined && isSame(before.options, options) && before.authority === authority;
      origins.set(name, isKept ? before : new Origin(options, authority, this.#makePool, this.#clock));
    }
    return origins;
  }

  #httpOptions(config: ResolvedConfig): ReturnType<typeof resolveHttpOptions> {
    const { maxBodyBytes, keepStale, staleOnDisconnect, storeSetCookie } = config.cache;
    return resolveHttpOptions({
      shared: true,
      name: config.name,
      targets: TARGETS,
      maxBodyBytes,
      keepStale,
      staleOnDisconnect,
      storeSetCookie,
      clock: this.#clock,
    });
  }

  isReady(): boolean {
    return (
      this.#running !== undefined &&
      !this.#isStopping &&
      [...this.#current.origins.values()].every(({ isWell }) => isWell)
    );
  }

  stats(): GatewayStats {
    const origins = [...this.#current.origins].map(([name, origin]) => [name, origin.stats] as const);
    return { ...this.#counters.counts(), origins: Object.fromEntries(origins) };
  }

  async purge(targets: readonly PurgeTarget[], mode: "hard" | "soft" = "hard"): Promise<void> {
    const cache = this.#running?.cache;
    if (cache === undefined) throw new CacheError("ERR_CACHE_CLOSED", "The gateway does not run");
    await purge(cache, targets, { mode });
  }

  mount(prefix: string, handler: AdminHandler): void {
    this.#mounts.push([prefix, handler]);
    this.#running?.admin?.mount(prefix, handler);
  }

  #operations(): ConstructorParameters<typeof AdminServer>[1] {
    return {
      ready: async () => this.isReady(),
      stats: async () => this.stats(),
      purge: (targets, mode) => this.purge(targets, mode),
      reload: () => this.reload(),
    };
  }

  #request(incoming: NodeRequest, outgoing: NodeResponse, expectsContinue: boolean): void {
    // `answerNode` does not reject, and a passage does nothing else that may.
    void this.#passage(incoming).answer(outgoing, expectsContinue);
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    void this.#passage(incoming).upgrade(incoming, socket, head);
  }

  #passage(incoming: NodeRequest): Passage {
    const { config, origins, targets } = this.#current;
    const { engine } = this.#running as Running;
    this.#counters.began();
    const began = this.#clock.now();
    return new Passage(incoming, {
      config,
      targets,
      origins,
      engine,
      via: this.#via,
      clock: this.#clock,
      isLast: () => this.#isStopping,
      upgraded: () => this.#counters.upgraded(),
      ended: (seen, outcome) => {
        this.#counters.ended(outcome);
        if (!config.accessLog) return;
        const times = { wall: this.#clock.wall(), duration: this.#clock.now() - began };
        this.#options.log?.(accessEntry(incoming, seen, outcome, config.sensitiveQuery, times));
      },
    });
  }
}

/** How long an origin that was reloaded away is still there for requests that found it before; milliseconds. */
const LEAVING = 30_000;

async function certificateOf({ tls }: ResolvedListen): Promise<Certificate | undefined> {
  if (tls === undefined) return undefined;
  const cert = await readBytes(tls.cert, "listen.tls.cert");
  const key = await readBytes(tls.key, "listen.tls.key");
  try {
    // Looked at now: by a server that is told of it, half of a reload would have happened.
    createSecureContext({ cert, key });
  } catch (cause) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`listen.tls\` to be a certificate and its key, got \`${tls.cert}\` and \`${tls.key}\` (${(cause as Error).message})`,
      { cause },
    );
  }
  return { cert, key };
}

async function readBytes(file: string, option: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to be a file, got \`${file}\``, { cause });
  }
}

/** Of plain data. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function addressOf({ host, tls }: ResolvedListen, { port }: AddressInfo): { url: string; port: number } {
  const name = host.includes(":") ? `[${host}]` : host;
  return { url: `${tls === undefined ? "http" : "https"}://${name}:${port}`, port };
}

import { userInfo } from "node:os";

import { createAdmin } from "../admin/create-admin.js";
import type { ProcessReport } from "../admin/report.js";
import type { Cache } from "../api.js";
import { createCache } from "../cache.js";
import { encodeName } from "../keys.js";
import { redis } from "../redis/redis.js";
import { CommandError } from "./command-error.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { closeModule, loadModule, ModuleError, type LoadedModule } from "./load-module.js";
import { pause } from "./pause.js";
import type { ReachFlags } from "./reach-options.js";
import { openRedis, UnreachableError } from "./redis-client.js";
import { secretOf } from "./secrets.js";
import type { Terminal } from "./terminal.js";

/** A cache as the admin API shows it, whoever answers: a process of it, or this command on its shared tier. */
export interface Reach {
  readonly name: string;
  /** Whether a process of the cache answers: else what this command itself would report is of no interest. */
  readonly isProcess: boolean;
  /** The report of whoever answers. */
  readonly self: string;
  readonly hasMemory: boolean;
  /** Whether other processes can be heard of. */
  readonly hearsOthers: boolean;
  /** The cache itself, where this command has it. */
  readonly cache: Cache | undefined;
  readonly get: <T>(path: string, query?: Readonly<Record<string, string>>) => Promise<T>;
  readonly post: <T>(path: string, body: unknown) => Promise<T>;
  /** The stream of what happens, from after an event on. */
  readonly live: (lastEventId: string | undefined, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
  readonly close: () => Promise<void>;
}

type Send = (request: Request) => Promise<Response>;

interface Me {
  readonly caches: readonly {
    readonly name: string;
    readonly self: string;
    readonly tiers: { readonly memory: boolean };
    readonly processes: boolean;
  }[];
}

const TIMEOUT = 60_000;
/** Milliseconds that an answer of Redis to one command may take. */
const ANSWER_TIMEOUT = 3_000;
const TOKEN = "TIERCACHE_TOKEN";

/**
 * Reaches a cache, has it used, and lets go of it however that ends.
 *
 * @throws CommandError, ModuleError or UnreachableError that say what is missing.
 */
export async function withReach<T>(flags: ReachFlags, terminal: Terminal, use: (to: Reach) => Promise<T>): Promise<T> {
  const to = await reach(flags, terminal);
  try {
    return await use(to);
  } finally {
    await to.close();
  }
}

async function reach(flags: ReachFlags, terminal: Terminal): Promise<Reach> {
  const name = flags.name ?? nameInEnvironment();
  if (flags.admin !== undefined && flags.module !== undefined)
    throw new CommandError(EXIT.usage, "--admin and --module exclude each other");
  if (flags.admin !== undefined) return overHttp(flags.admin, name);
  if (flags.module !== undefined) return inModule(flags.module, name, terminal);
  const url = await secretOf("REDIS_URL");
  if (url === undefined)
    throw new CommandError(EXIT.usage, "this needs REDIS_URL and --name, or --admin, or --module (--help tells more)");
  if (name === undefined) throw new CommandError(EXIT.usage, "which cache? --name says it, as createCache was told it");
  const opened = await openCache(url, name);
  return reachCache(opened.cache, opened.close, terminal);
}

/** What `--name` is when it is not given. */
export function nameInEnvironment(): string | undefined {
  const name = process.env["TIERCACHE_NAME"];
  return name === "" ? undefined : name;
}

/** A cache on its shared tier, with no memory of its own. */
export async function openCache(
  url: string,
  name: string,
): Promise<{
  readonly cache: Cache;
  readonly close: () => Promise<void>;
  readonly command: (...words: readonly string[]) => Promise<unknown>;
}> {
  const opened = await connect(url);
  try {
    const head = `${encodeName(name)}#head`;
    const [found, shards] = await Promise.all([
      // Both are text, and a cache's own account may ask for its length.
      opened.command("STRLEN", head),
      opened.command("STRLEN", `${encodeName(name)}#shards`),
    ]);
    if (Number(shards) > 0) throw clustered();
    // A cache that is opened under a wrong name would leave a log of its own behind.
    if (Number(found) === 0)
      throw new CommandError(EXIT.notFound, `Redis at ${hostOf(url)} has no cache named ${JSON.stringify(name)}`);
    const secret = await secretOf("TIERCACHE_SECRET");
    const cache = createCache({
      name,
      tiers: [redis(opened.client, { secret: secret?.split(",") })],
      shared: { timeout: "5s" },
    });
    return { cache, command: opened.command, close: async () => (await cache.close(), opened.close()) };
  } catch (error) {
    opened.close();
    throw error instanceof Error && error.message.startsWith("MOVED") ? clustered() : error;
  }
}

/** As `openRedis`, with what it is asked for in one call, and a code for being refused. */
export async function connect(url: string): Promise<{
  readonly client: Awaited<ReturnType<typeof openRedis>>["client"];
  readonly close: () => void;
  readonly command: (...words: readonly string[]) => Promise<unknown>;
}> {
  if (!URL.canParse(url)) throw new CommandError(EXIT.usage, "REDIS_URL is no address: redis://host:6379");
  const opened = await openRedis(url).catch((error: unknown) => {
    throw refusedOr(error);
  });
  const { client } = opened;
  if (!("sendCommand" in client)) throw new ModuleError("This needs the package `redis` (5 or later): npm i redis");
  const command = (...words: readonly string[]): Promise<unknown> => bounded(client.sendCommand(words), hostOf(url));
  return { client, close: () => opened.close(), command };
}

/** A server that hangs takes commands, and answers none. */
async function bounded<T>(answer: Promise<T>, host: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UnreachableError(`Redis at ${host}: it does not answer`)), ANSWER_TIMEOUT);
  });
  try {
    return await Promise.race([answer, late]);
  } catch (error) {
    throw refusedOr(error);
  } finally {
    clearTimeout(timer);
  }
}

function clustered(): CommandError {
  return new CommandError(EXIT.usage, "this is a Redis Cluster: give a module that exports the cache, with --module");
}

function refusedOr(error: unknown): unknown {
  const text = error instanceof Error ? error.message : String(error);
  return /\b(?:WRONGPASS|NOAUTH|NOPERM)\b/.test(text) ? new CommandError(EXIT.forbidden, text) : error;
}

function hostOf(url: string): string {
  return new URL(url).host;
}

/** The caches that a module exports. @throws ModuleError when it exports none. */
export async function cachesOf(
  path: string,
): Promise<{ readonly module: LoadedModule; readonly caches: readonly Cache[] }> {
  const module = await loadModule(path);
  const fallback: unknown = module["default"];
  const exports = { ...(typeof fallback === "object" && fallback !== null ? fallback : {}), ...module };
  const caches = [...new Set(Object.values(exports).filter(isCache))];
  if (caches.length === 0) throw new ModuleError(`Expected ${path} to export a cache`);
  return { module, caches };
}

function isCache(value: unknown): value is Cache {
  return (
    typeof value === "object" &&
    value !== null &&
    ["inspect", "explain", "getOrLoad"].every((method) => typeof Reflect.get(value, method) === "function")
  );
}

async function inModule(path: string, name: string | undefined, terminal: Terminal): Promise<Reach> {
  const { module, caches } = await cachesOf(path);
  const found = name === undefined ? caches[0] : caches.find((cache) => cache.name === name);
  if (found === undefined) {
    await closeModule(module, caches);
    throw new CommandError(EXIT.notFound, `${path} exports no cache named ${JSON.stringify(name)}`);
  }
  return reachCache(found, () => closeModule(module, caches), terminal);
}

/** A cache that this command has. */
export async function reachCache(cache: Cache, close: () => Promise<void>, terminal: Terminal): Promise<Reach> {
  const actor = { name: `cli:${userName()}`, role: "admin" } as const;
  const admin = createAdmin(cache, {
    environment: "command line",
    authenticate: () => actor,
    name: "tiercache",
    audit: (line) => terminal.note(line.trimEnd()),
  });
  const send: Send = (request) => admin.fetch(request);
  return reached(new URL("http://localhost/"), send, cache.name, {
    cache,
    close: async () => {
      await admin.close();
      await close();
    },
  });
}

async function overHttp(address: string, name: string | undefined): Promise<Reach> {
  if (!URL.canParse(address) || !/^https?:/.test(address))
    throw new CommandError(EXIT.usage, `Expected --admin to be an address such as http://127.0.0.1:7070`);
  const base = new URL(address.endsWith("/") ? address : `${address}/`);
  if (base.hash !== "" || base.username !== "")
    throw new CommandError(EXIT.usage, `The token does not belong in the address: it goes into ${TOKEN}`);
  const token = (await secretOf(TOKEN)) ?? "";
  const send: Send = async (request) => {
    request.headers.set("authorization", `Bearer ${token}`);
    return fetch(request).catch((cause: unknown) => {
      if (request.signal.aborted) throw cause;
      throw new UnreachableError(`Nothing answers at ${base.href}`, { cause });
    });
  };
  return reached(base, send, name, { cache: undefined, close: async () => undefined });
}

async function reached(
  base: URL,
  send: Send,
  name: string | undefined,
  { cache, close }: Pick<Reach, "cache" | "close">,
): Promise<Reach> {
  const address = (path: string, query: Readonly<Record<string, string>> = {}): URL => {
    const url = new URL(`api/${path}`, base);
    for (const [field, value] of Object.entries(query)) url.searchParams.set(field, value);
    return url;
  };
  const signal = (): AbortSignal => AbortSignal.timeout(TIMEOUT);
  try {
    const me = await answered<Me>(await send(new Request(address("me"), { signal: signal() })));
    const own = name === undefined ? me.caches[0] : me.caches.find((one) => one.name === name);
    if (own === undefined)
      throw new CommandError(EXIT.notFound, `There is no cache named ${JSON.stringify(name)} at ${base.href}`);
    return {
      name: own.name,
      isProcess: cache === undefined,
      self: own.self,
      hasMemory: own.tiers.memory,
      hearsOthers: own.processes,
      cache,
      get: async (path, query) =>
        answered(await send(new Request(address(path, { cache: own.name, ...query }), { signal: signal() }))),
      post: async (path, body) =>
        answered(
          await send(
            new Request(address(path), {
              method: "POST",
              signal: signal(),
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ cache: own.name, ...(body as object) }),
            }),
          ),
        ),
      async live(lastEventId, ended) {
        const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
        const response = await send(new Request(address("live"), { headers, signal: ended }));
        if (!response.ok || response.body === null) throw await refused(response);
        return response.body;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function answered<T>(response: Response): Promise<T> {
  if (!response.ok) throw await refused(response);
  return (await response.json()) as T;
}

const CODES: Readonly<Record<number, ExitCode>> = {
  400: EXIT.usage,
  401: EXIT.forbidden,
  403: EXIT.forbidden,
  404: EXIT.notFound,
  503: EXIT.unreachable,
};

async function refused(response: Response): Promise<CommandError> {
  const body = (await response.json().catch(() => ({}))) as { readonly error?: { readonly message?: string } };
  const message = body.error?.message ?? `The admin API answered ${response.status}`;
  const told = response.status === 401 ? `The token is not known there: set ${TOKEN}` : message;
  return new CommandError(CODES[response.status] ?? EXIT.failure, told);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a user that has no name.
    return "unknown";
  }
}

/** What the processes of the cache last reported. */
export async function reportsOf({ get, isProcess, self }: Reach): Promise<readonly ProcessReport[]> {
  const { reports } = await get<{ readonly reports: readonly ProcessReport[] }>("reports");
  return isProcess ? reports : reports.filter((report) => report.process.id !== self);
}

const POLL = 250;

/**
 * What the processes report within a time: they look every three seconds whether anybody asks, and what they pin up is read
 * every two.
 */
export async function gatherReports(to: Reach, wait: number, terminal: Terminal): Promise<readonly ProcessReport[]> {
  const until = Date.now() + (to.hearsOthers ? wait : 0);
  let reports = await reportsOf(to);
  while (Date.now() < until) {
    terminal.status(`asking the processes of ${to.name}: ${reports.length} so far`);
    await pause(Math.min(POLL, until - Date.now()));
    reports = await reportsOf(to);
  }
  terminal.status("");
  return reports;
}

export function noReports(name: string): CommandError {
  return new CommandError(
    EXIT.notFound,
    `No process of ${name} reports: those report that call createAdmin(cache) of tiercache/admin. Is one running?`,
  );
}

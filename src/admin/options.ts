import { randomBytes } from "node:crypto";
import { systemClock, type Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import { knownOptions, optionError } from "../policy.js";
import type { RedisCommand } from "./doctor/redis-checks.js";

/**
 * What somebody may do, each more than the one before: `viewer` sees everything but values, `reader` values too, `operator`
 * may purge what was previewed, `admin` may purge everything and sees the audit.
 */
export type AdminRole = "viewer" | "reader" | "operator" | "admin";

export const ROLES: readonly AdminRole[] = ["viewer", "reader", "operator", "admin"];

/** Who asks, as the audit names them. */
export interface AdminActor {
  readonly name: string;
  readonly role: AdminRole;
}

export interface AdminOptions {
  /** Where this runs, shown on every page. What begins with `prod`, or nothing, means read-only with values hidden. @default "production" */
  environment?: string | undefined;
  /** No purges, whatever the role. @default true in production */
  readOnly?: boolean | undefined;
  /** Whether values may be seen at all, by those whose role allows it. @default false in production */
  values?: boolean | undefined;
  /** The secret of each role, 16 characters or more. @default one for `admin`, made at random */
  tokens?: Partial<Record<AdminRole, string>> | undefined;
  /** Who asks, by your own sessions; then there are no tokens. `undefined` is nobody. */
  authenticate?: ((request: Request) => AdminActor | undefined | Promise<AdminActor | undefined>) | undefined;
  /** Names this may be reached under, beside those of loopback: "cache.internal". @default none */
  hosts?: readonly string[] | undefined;
  /** Where it is mounted in a server of yours: "/cache". @default "" */
  path?: string | undefined;
  /** Names of fields that are never shown, beside secrets and what entities call sensitive; or what is shown in a value's place. */
  redact?: readonly string[] | ((key: string, value: unknown) => unknown) | undefined;
  /** Hears one line of JSON for each purge, before it runs and after. @default none */
  audit?: ((line: string) => void) | undefined;
  /** What this process is called. @default host:pid */
  name?: string | undefined;
  /** Whether this process looks for others that report through the shared tier, and reports when others look. @default true */
  processes?: boolean | undefined;
  /**
   * Sends a command to the Redis of the shared tier, for what the doctor asks of it (INFO, TIME, ACL, SCAN, PTTL, MEMORY USAGE):
   * `(...words) => client.sendCommand(words)`. @default none: the server itself is not asked
   */
  redis?: RedisCommand | undefined;
  /** A folder with the page's files. @default the package's own */
  assets?: string | undefined;
  /** @default the machine's */
  clock?: Clock | undefined;
}

/** `AdminOptions`, resolved. */
export interface AdminSettings {
  readonly environment: string;
  readonly readOnly: boolean;
  readonly values: boolean;
  readonly tokens: ReadonlyMap<AdminRole, string>;
  /** The token was made here: whoever starts the server is told it. */
  readonly madeToken: boolean;
  readonly authenticate: AdminOptions["authenticate"];
  readonly hosts: ReadonlySet<string>;
  readonly path: string;
  readonly redact: readonly string[] | ((key: string, value: unknown) => unknown);
  readonly audit: (line: string) => void;
  readonly name: string | undefined;
  readonly processes: boolean;
  readonly redis: RedisCommand | undefined;
  readonly assets: string | undefined;
  readonly clock: Clock;
}

const FIELDS = [
  "environment",
  "readOnly",
  "values",
  "tokens",
  "authenticate",
  "hosts",
  "path",
  "redact",
  "audit",
  "name",
  "processes",
  "redis",
  "assets",
  "clock",
];
/** Under these nobody but this machine reaches it. */
export const LOOPBACK: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];
const LEAST_TOKEN = 16;
const PRODUCTION = /^prod/i;

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function resolveAdmin(options: AdminOptions): AdminSettings {
  knownOptions(options, FIELDS, "createAdmin");
  const environment = options.environment ?? "production";
  if (typeof environment !== "string") throw optionError("environment", "text", environment);
  const isProduction = environment === "" || PRODUCTION.test(environment);
  const { authenticate, tokens } = options;
  if (authenticate !== undefined && typeof authenticate !== "function")
    throw optionError("authenticate", "a function", authenticate);
  if (authenticate !== undefined && tokens !== undefined)
    throw optionError("tokens", "left out where authenticate says who asks", "both");
  if (options.redis !== undefined && typeof options.redis !== "function")
    throw optionError("redis", "a function that sends a command", options.redis);
  const path = options.path ?? "";
  if (typeof path !== "string" || (path !== "" && !/^\/[^?#]*[^/?#]$/.test(path)))
    throw optionError("path", 'where it is mounted, as "/cache"', path);
  return {
    environment: environment === "" ? "production" : environment,
    readOnly: options.readOnly ?? isProduction,
    values: options.values ?? !isProduction,
    tokens: authenticate === undefined ? resolveTokens(tokens) : new Map(),
    madeToken: authenticate === undefined && tokens === undefined,
    authenticate,
    hosts: new Set([...LOOPBACK, ...(options.hosts ?? [])].map((host) => host.toLowerCase())),
    path,
    redact: options.redact ?? [],
    audit: options.audit ?? (() => undefined),
    name: options.name,
    processes: options.processes ?? true,
    redis: options.redis,
    assets: options.assets,
    clock: options.clock ?? systemClock,
  };
}

function resolveTokens(tokens: AdminOptions["tokens"]): ReadonlyMap<AdminRole, string> {
  if (tokens === undefined) return new Map([["admin", randomBytes(24).toString("base64url")]]);
  knownOptions(tokens, ROLES, "tokens");
  const given = new Map<AdminRole, string>();
  for (const role of ROLES) {
    const token: unknown = tokens[role];
    if (token === undefined) continue;
    if (typeof token !== "string" || token.length < LEAST_TOKEN) {
      // Never shown: it may be a secret that is a little short.
      throw new CacheError(
        "ERR_CACHE_OPTION",
        `Expected \`tokens.${role}\` to be text of ${LEAST_TOKEN} characters or more`,
      );
    }
    given.set(role, token);
  }
  if (given.size === 0) throw optionError("tokens", "at least one token", "none");
  if (new Set(given.values()).size < given.size) throw optionError("tokens", "different for each role", "one for two");
  return given;
}

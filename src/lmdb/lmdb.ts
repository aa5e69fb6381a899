import { resolve as absolute } from "node:path";
import { systemClock, type Clock } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { SharedPut, SharedTier, SharedTierFactory } from "../tiers/shared.js";
import { toBytes } from "../tiers/memory/limits.js";
import { Environment } from "./environment.js";
import type { Room } from "./room.js";
import { Subscriptions } from "./subscriptions.js";
import { loadLmdb } from "./table.js";

export interface LmdbOptions {
  /** A folder of this machine's own disk, made if need be; every process that names it shares what is in it. */
  readonly path: string;
  /** Most bytes of all entries there, as a number or "256mb"; the file becomes up to about three times as large. @default "256mb" */
  readonly maxBytes?: number | string | undefined;
  /** Records of invalidations kept: a process that missed more starts over with nothing trusted. @default 50000 */
  readonly logLength?: number | undefined;
  /** Most tags and prefixes remembered, hard and soft apart; beyond it the oldest go, and every entry older than they. @default 100000 */
  readonly maxMarks?: number | undefined;
  /** Most patterns and tag sets remembered, likewise; every process holds them all. @default 1000 */
  readonly maxRules?: number | undefined;
  /** How often a process looks for what others wrote, if it was not woken before. @default "50ms" */
  readonly pollInterval?: Duration | undefined;
  /** Hears when the file was damaged and what is there starts empty. @default process.emitWarning */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** @default the machine's */
  readonly clock?: Clock | undefined;
}

/** What each option is when it is not given. */
export const LMDB_DEFAULTS: {
  maxBytes: string;
  logLength: number;
  maxMarks: number;
  maxRules: number;
  pollInterval: string;
} = { maxBytes: "256mb", logLength: 50_000, maxMarks: 100_000, maxRules: 1_000, pollInterval: "50ms" };

const KIND = "lmdb";
/** The part of `maxBytes` that the log's records may take beside the entries. */
const LOG_SHARE = 1 / 8;

/**
 * The host tier: a shared tier in a file, for the processes of one machine. It outlives them: after a restart their
 * caches are warm.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for an option out of its range, or when the package `lmdb` is not installed.
 */
export function lmdb(options: LmdbOptions): SharedTierFactory {
  const { clock = systemClock, pollInterval, ...resolved } = resolve(options);
  const environment = new Environment(loadLmdb(), { ...resolved, clock, random: Math.random });
  const subscriptions = new Subscriptions(environment, clock, pollInterval);
  return { kind: KIND, open: (cacheName) => openTier(environment, subscriptions, cacheName) };
}

function openTier(environment: Environment, subscriptions: Subscriptions, cacheName: string): SharedTier {
  environment.use();
  const ends = new Set<() => void>();
  let closed: Promise<void> | undefined;
  const read = async <T>(step: (room: Room) => T): Promise<T> => environment.read(cacheName, step);
  const write = <T>(step: (room: Room) => T): Promise<T> => environment.write(cacheName, step);
  /** A step with bytes that are its caller's: they are taken when it cannot be done at once. */
  const writeBytes = <T, B>(bytes: B, copy: (bytes: B) => B, step: (room: Room, bytes: B) => T): Promise<T> => {
    let taken = bytes;
    return environment.write(
      cacheName,
      (room) => step(room, taken),
      () => (taken = copy(bytes)),
    );
  };
  return {
    kind: KIND,
    store: {
      read: (keys) => read((room) => room.read(keys)),
      put: (entries, origin) => writeBytes(entries, copyOf, (room, taken) => room.put(taken, origin)),
      invalidate: (marks, soft, origin) => write((room) => room.invalidate(marks, soft, origin)),
      marks: (marks) => withGeneration(read, write, (room) => room.ledger.positionsOf(marks)),
      rules: () => withGeneration(read, write, (room) => room.ledger.rules()),
      discard: (key, stamp) => write((room) => room.discard(key, stamp)),
      list: (step) => read((room) => room.list(step)),
    },
    leases: {
      acquire: (key, { token, ttl, seen, takeOver }) =>
        write((room) => room.acquire(key, token, ttl, seen, takeOver === true)),
      renew: (key, token, ttl) => write((room) => room.renew(key, token, ttl)),
      fill: (key, token, value, ttl) =>
        writeBytes(
          value,
          (bytes) => bytes.slice(),
          (room, taken) => room.fill(key, token, taken, ttl),
        ),
      commit: (key, token, value, ttl, origin) =>
        writeBytes(
          value,
          (bytes) => bytes.slice(),
          (room, taken) => room.commit(key, token, taken, ttl, origin),
        ),
      release: (key, token) => write((room) => room.release(key, token)),
    },
    log: {
      head: () => withGeneration(read, write, (room) => room.ledger.head()),
      since: (position, limit) => withGeneration(read, write, (room) => room.ledger.since(position, limit)),
      async subscribe(listener) {
        if (closed !== undefined) throw new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed");
        const end = subscriptions.add(cacheName, listener);
        ends.add(end);
        return async () => {
          ends.delete(end);
          end();
        };
      },
    },
    close() {
      if (closed === undefined) {
        for (const end of ends) end();
        ends.clear();
        closed = environment.release();
      }
      return closed;
    },
  };
}

function copyOf(entries: readonly SharedPut[]): readonly SharedPut[] {
  return entries.map((entry) => ({ ...entry, value: entry.value.slice() }));
}

/** A step that only reads, unless there is no generation yet: then it begins one. */
function withGeneration<T>(
  read: (step: (room: Room) => T | undefined) => Promise<T | undefined>,
  write: (step: (room: Room) => T) => Promise<T>,
  step: (room: Room) => T,
): Promise<T> {
  return read((room) => (room.ledger.state() === undefined ? undefined : step(room))).then(
    (found) => found ?? write(step),
  );
}

function resolve(options: LmdbOptions): {
  path: string;
  maxBytes: number;
  logLength: number;
  logBytes: number;
  maxMarks: number;
  maxRules: number;
  pollInterval: number;
  warn: (message: string) => void;
  clock: Clock | undefined;
} {
  // Looked at as unknown: a caller in plain JavaScript may hand over anything.
  const path: unknown = options.path;
  if (typeof path !== "string" || path === "") {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`path\` to be the path of a folder, got \`${String(path)}\``);
  }
  const maxBytes = toBytes(options.maxBytes ?? LMDB_DEFAULTS.maxBytes, "maxBytes");
  return {
    path: absolute(path),
    maxBytes,
    logLength: positiveInteger(options.logLength ?? LMDB_DEFAULTS.logLength, "logLength"),
    logBytes: Math.ceil(maxBytes * LOG_SHARE),
    maxMarks: positiveInteger(options.maxMarks ?? LMDB_DEFAULTS.maxMarks, "maxMarks"),
    maxRules: positiveInteger(options.maxRules ?? LMDB_DEFAULTS.maxRules, "maxRules"),
    pollInterval: positiveDuration(options.pollInterval ?? LMDB_DEFAULTS.pollInterval, "pollInterval"),
    warn: options.onWarning ?? ((message) => process.emitWarning(message)),
    clock: options.clock,
  };
}

function positiveDuration(value: Duration, option: string): number {
  const ms = toMilliseconds(value, option);
  if (ms > 0) return ms;
  throw new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to be longer than 0, got \`${value}\``);
}

function positiveInteger(value: number, option: string): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`${option}\` to be an integer of 1 or more, got \`${String(value)}\``,
  );
}

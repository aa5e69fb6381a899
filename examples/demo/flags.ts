import { parseArgs } from "node:util";
import { toMilliseconds } from "../../src/duration.js";

/** What the demo is asked to do. */
export interface Flags {
  /** Milliseconds of load, both phases together. */
  readonly duration: number;
  /** Share of requests that write through the API, 0 to 1. */
  readonly writes: number;
  /** Share of requests beside which a row is changed straight in the database, 0 to 1. */
  readonly outOfBand: number;
  readonly cache: boolean;
  readonly json: boolean;
  readonly seed: number;
  readonly connections: number;
  readonly issues: number;
  readonly trace: string | undefined;
  /** Whether the cache's page is served while the load lasts. */
  readonly dashboard: boolean;
  readonly help: boolean;
}

/** A command line that cannot be understood. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const HELP: string = `tiercache demo: an issue tracker under load, with and without its cache

Starts a PostgreSQL of its own (or uses DATABASE_URL), a private Redis when redis-server is installed (or uses
REDIS_URL; without either, its two workers share a file of this machine), fills an issue tracker, and drives its API:
first without the cache, then with it. Everything it started and wrote is gone at the end.

  npm run demo -- [flags]

  --for 15s           how long the load lasts, both phases together (2s to 1h)
  --writes 2%         requests that write through the API
  --out-of-band 0.5%  rows changed by plain SQL, past the API
  --trace FILE        read these keys, one per line (text or gzip), instead of a skewed random choice
  --connections 32    connections under load, each with one request at a time (1 to 1000)
  --issues 50000      issues in the tracker (100 to 2000000)
  --seed 1            same seed, same rows and same requests
  --no-cache          only the phase without the cache
  --dashboard         serve the cache's page while it is used, and print its address; with --for 10m there is time to look
  --json              one JSON document on stdout instead of the table
  --help              this text

  DATABASE_URL             a PostgreSQL to use; the demo works in a schema of its own and drops it
  REDIS_URL                a Redis 6 or newer to use, under a name of its own
  TIERCACHE_REDIS_SERVER   the redis-server to start
`;

/** @throws UsageError for an unknown flag or a value out of its range */
export function parseFlags(args: readonly string[]): Flags {
  const { values } = parsed(args);
  const flags: Flags = {
    duration: parseDuration(values.for),
    writes: parsePercent("writes", values.writes),
    outOfBand: parsePercent("out-of-band", values["out-of-band"]),
    cache: values["no-cache"] !== true,
    json: values.json === true,
    seed: parseInteger("seed", values.seed, 0, 2 ** 32 - 1),
    connections: parseInteger("connections", values.connections, 1, 1_000),
    issues: parseInteger("issues", values.issues, 100, 2_000_000),
    trace: values.trace,
    dashboard: values.dashboard === true,
    help: values.help === true,
  };
  if (flags.dashboard && !flags.cache) {
    throw new UsageError("Expected --dashboard to come without --no-cache: it shows the cache");
  }
  if (flags.writes + flags.outOfBand > 1) {
    throw new UsageError("Expected --writes and --out-of-band to be at most 100% together");
  }
  return flags;
}

interface RawFlags {
  for: string;
  writes: string;
  "out-of-band": string;
  "no-cache"?: boolean | undefined;
  json?: boolean | undefined;
  seed: string;
  connections: string;
  issues: string;
  trace?: string | undefined;
  dashboard?: boolean | undefined;
  help?: boolean | undefined;
}

function parsed(args: readonly string[]): { values: RawFlags } {
  try {
    return parseArgs({
      args: [...args],
      options: {
        for: { type: "string", default: "15s" },
        writes: { type: "string", default: "2%" },
        "out-of-band": { type: "string", default: "0.5%" },
        "no-cache": { type: "boolean" },
        json: { type: "boolean" },
        seed: { type: "string", default: "1" },
        connections: { type: "string", default: "32" },
        issues: { type: "string", default: "50000" },
        trace: { type: "string" },
        dashboard: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
      strict: true,
      allowPositionals: false,
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    // The rest is advice for other commands.
    throw new UsageError(message.split(/\. |\n/)[0] ?? message, { cause });
  }
}

function parseDuration(text: string): number {
  try {
    const ms = /\D/.test(text) ? toMilliseconds(text, "for") : Number.NaN;
    if (ms >= 2_000 && ms <= 3_600_000) {
      return ms;
    }
  } catch {
    // Said below, in the words of this command.
  }
  throw new UsageError(`Expected --for to be from 2s to 1h, got ${JSON.stringify(text)}`);
}

function parsePercent(flag: string, text: string): number {
  const share = /^\d+(\.\d+)?%$/.test(text) ? Number(text.slice(0, -1)) / 100 : Number.NaN;
  if (!(share >= 0 && share <= 1)) {
    throw new UsageError(`Expected --${flag} to be a percentage from 0% to 100%, got ${JSON.stringify(text)}`);
  }
  return share;
}

function parseInteger(flag: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new UsageError(`Expected --${flag} to be an integer from ${min} to ${max}, got ${JSON.stringify(text)}`);
  }
  return value;
}

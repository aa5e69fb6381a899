import { createHmac, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { createInterface } from "node:readline";

import type { Cache } from "../api.js";
import { systemClock, type Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";
import { inShare } from "./rollout.js";

export interface RecordOptions {
  /** The part of all keys whose reads are written, by a hash of the key: every read of these, none of others. @default 1 */
  share?: number | undefined;
  /** Most reads; then nothing more is written. @default 10000000 */
  most?: number | undefined;
  /**
   * Writes hashes of keys, for traces that leave the company: `true` for a secret that nobody knows afterwards, or a secret
   * of your own. Such a trace can be simulated, and not be warmed from. @default false
   */
  hashKeys?: boolean | string | undefined;
  /** @default the machine's */
  clock?: Clock | undefined;
}

/** A trace that is being written. */
export interface Recording {
  /** Reads written, or about to be. */
  readonly reads: number;
  /** Reads that were left out because the disk was too slow. */
  readonly dropped: number;
  /** Ends it and closes the file. Twice is once. @throws the file's error */
  stop(): Promise<{ readonly reads: number; readonly dropped: number }>;
}

const OPTIONS = ["share", "most", "hashKeys", "clock"];
const DEFAULT_MOST = 10_000_000;
/** Bytes that may wait for the disk. */
const MOST_WAITING = 16 << 20;
/** Sizes remembered. */
const MOST_SIZES = 100_000;
const HASH_LENGTH = 22;
const HEADER = "time,key,size";

/**
 * Writes the reads of a cache to a file as a trace that `tiercache simulate` and `tiercache plan` read: seconds since the beginning,
 * the key, and the bytes of its value where they were seen. While it runs, a hit in memory costs an event more.
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function recordTrace(cache: Cache, file: string, options: RecordOptions = {}): Recording {
  knownOptions(options, OPTIONS, "recordTrace");
  const { share = 1, hashKeys = false, clock = systemClock } = options;
  if (!(share > 0 && share <= 1)) throw optionError("share", "above 0, at most 1", share);
  const most = wholeNumber(options.most ?? DEFAULT_MOST, "most", 1);
  return new TraceFile(cache, file, { share, most, nameOf: namer(hashKeys), clock });
}

class TraceFile implements Recording {
  reads = 0;
  dropped = 0;
  readonly #file: WriteStream;
  readonly #off: readonly (() => void)[];
  readonly #sizes = new Map<string, number>();
  #failed: unknown;
  #stopped: Promise<{ reads: number; dropped: number }> | undefined;

  constructor(
    cache: Cache,
    file: string,
    settings: {
      readonly share: number;
      readonly most: number;
      readonly nameOf: (key: string) => string;
      readonly clock: Clock;
    },
  ) {
    const { share, most, nameOf, clock } = settings;
    this.#file = createWriteStream(file);
    this.#file.on("error", (error) => (this.#failed = error));
    this.#file.write(`${HEADER}\n`);
    const began = clock.now();
    const read = ({ key }: { readonly key: string }): void => {
      if (this.reads >= most || this.#failed !== undefined || !inShare(key, share)) return;
      if (this.#file.writableLength > MOST_WAITING) {
        this.dropped += 1;
        return;
      }
      this.reads += 1;
      const time = ((clock.now() - began) / 1_000).toFixed(3);
      this.#file.write(`${time},${field(nameOf(key))},${this.#sizes.get(key) ?? ""}\n`);
    };
    this.#off = [
      cache.on("hit", read),
      cache.on("miss", read),
      cache.on("stored", ({ key, bytes, tier }) => {
        if (tier !== "memory" || !inShare(key, share)) return;
        this.#sizes.set(key, bytes);
        const [oldest] = this.#sizes.keys();
        if (this.#sizes.size > MOST_SIZES && oldest !== undefined) this.#sizes.delete(oldest);
      }),
    ];
  }

  stop(): Promise<{ reads: number; dropped: number }> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<{ reads: number; dropped: number }> {
    for (const off of this.#off) off();
    if (this.#failed !== undefined) throw this.#failed;
    const closed = finished(this.#file);
    this.#file.end();
    await closed;
    return { reads: this.reads, dropped: this.dropped };
  }
}

export interface HotKeysOfTrace {
  /** Most keys that are given. @default 10000 */
  most?: number | undefined;
}

/** More distinct keys than this are not counted apart. */
const MOST_COUNTED = 2_000_000;

/**
 * The keys that a trace of `recordTrace` reads most, hottest first.
 *
 * @throws CacheError `ERR_CACHE_VALUE` for a file that is no such trace.
 */
export async function readHotKeys(file: string, options: HotKeysOfTrace = {}): Promise<readonly string[]> {
  knownOptions(options, ["most"], "readHotKeys");
  const most = wholeNumber(options.most ?? 10_000, "most", 1);
  const counts = new Map<string, number>();
  const stream = createReadStream(file);
  // A file that is not there must be its own error, and not an empty trace.
  await once(stream, "open");
  let isFirst = true;
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (isFirst && line !== HEADER)
      throw new CacheError("ERR_CACHE_VALUE", `Expected ${file} to begin with ${HEADER}, as recordTrace writes it`);
    const key = isFirst ? undefined : keyOf(line);
    isFirst = false;
    if (key === undefined) continue;
    const count = counts.get(key);
    if (count !== undefined || counts.size < MOST_COUNTED) counts.set(key, (count ?? 0) + 1);
  }
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([key]) => key);
}

/** Of a line of our own: time, key (quoted if need be), size. */
function keyOf(line: string): string | undefined {
  const match = /^[\d.]+,(?:"((?:[^"]|"")*)"|([^,]*)),\d*$/.exec(line);
  return match === null ? undefined : (match[1]?.replaceAll('""', '"') ?? match[2]);
}

/** Keys have no line breaks: they are encoded. */
function field(text: string): string {
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function namer(hashKeys: boolean | string): (key: string) => string {
  if (hashKeys === false) return (key) => key;
  const secret = hashKeys === true ? randomBytes(32) : hashKeys;
  if (secret.length === 0) throw optionError("hashKeys", "true or a secret that is not empty", secret);
  return (key) => createHmac("sha256", secret).update(key).digest("base64url").slice(0, HASH_LENGTH);
}

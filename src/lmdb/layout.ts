import { hash } from "node:crypto";
import { encodeName } from "../keys.js";

/**
 * The keys of the one table that every cache of an environment shares. All are binary and short, however long the
 * paths are: LMDB's keys end at 1978 bytes, and a path does at 65,536.
 *
 * | key                        | holds                                                              |
 * | -------------------------- | ------------------------------------------------------------------ |
 * | `usage`                    | the format, and the bytes of all entries                           |
 * | `state` cache              | the head, the last fencing number, counts                          |
 * | `lease` name               | the token of who may load an entry, and until when                 |
 * | `mark` cache name          | the position that moved a tag, a prefix or "all"                   |
 * | `markAge` cache position name | nothing: the marks in the order they were moved                 |
 * | `rule`, `ruleAge`          | patterns and tag sets, likewise                                    |
 * | `record` cache position    | a record of the log                                                |
 * | `settled` cache slot       | the newest leases that ended, in a ring                            |
 * | `entry` name               | an entry                                                           |
 *
 * A cache is the first 16 bytes of its name's SHA-256, a name the first 20 of its text's. So entries lie in random
 * order: any few in a row are a fair sample of all.
 */
export const KIND = {
  usage: 1,
  state: 2,
  lease: 3,
  mark: 4,
  markAge: 5,
  rule: 6,
  ruleAge: 7,
  record: 8,
  settled: 9,
  entry: 10,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

const CACHE = 16;
const NAME = 20;
const POSITION = 8;

export const USAGE_KEY: Uint8Array = Uint8Array.of(KIND.usage);

/** Makes the keys of one cache. */
export class Layout {
  readonly state: Uint8Array;
  readonly #cache: Uint8Array;
  readonly #seed: string;

  constructor(cacheName: string) {
    this.#cache = hash("sha256", encodeName(cacheName), "buffer").subarray(0, CACHE);
    // Of fixed length: no two pairs of a cache and a path make one text.
    this.#seed = Buffer.from(this.#cache).toString("hex");
    this.state = joined(KIND.state, this.#cache);
  }

  entry(path: string): Uint8Array {
    return joined(KIND.entry, nameOf(this.#seed + path));
  }

  lease(path: string): Uint8Array {
    return joined(KIND.lease, nameOf(this.#seed + path));
  }

  named(kind: Kind, name: string): Uint8Array {
    return joined(kind, this.#cache, nameOf(name));
  }

  /** The place by age of what is `named`, whose key is given. */
  aged(kind: Kind, position: number, named: Uint8Array): Uint8Array {
    return joined(kind, this.#cache, positionBytes(position), named.subarray(named.length - NAME));
  }

  record(position: number): Uint8Array {
    return joined(KIND.record, this.#cache, positionBytes(position));
  }

  settled(slot: number): Uint8Array {
    return joined(KIND.settled, this.#cache, Uint8Array.of(slot >> 8, slot & 255));
  }

  /** Where the keys of one kind begin and end. */
  range(kind: Kind): { readonly start: Uint8Array; readonly end: Uint8Array } {
    return { start: joined(kind, this.#cache), end: joined(kind, this.#cache, new Uint8Array(64).fill(255)) };
  }

  /** The keys that `aged` or `record` made for a position. */
  positionOf(key: Uint8Array): number {
    return viewOf(key).getFloat64(1 + CACHE);
  }

  /** The key `aged` was given, from the one it made. */
  namedOf(kind: Kind, aged: Uint8Array): Uint8Array {
    return joined(kind, this.#cache, aged.subarray(1 + CACHE + POSITION));
  }
}

function nameOf(text: string): Uint8Array {
  return hash("sha256", text, "buffer").subarray(0, NAME);
}

/** Positive doubles sort as their bytes do, highest first. */
function positionBytes(position: number): Uint8Array {
  const bytes = new Uint8Array(POSITION);
  viewOf(bytes).setFloat64(0, position);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function joined(kind: Kind, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 1;
  for (const part of parts) length += part.length;
  const key = new Uint8Array(length);
  key[0] = kind;
  let at = 1;
  for (const part of parts) {
    key.set(part, at);
    at += part.length;
  }
  return key;
}

import { createHash } from "node:crypto";
import { encodeName } from "../keys.js";

/**
 * Where a cache's things are in memcached. No two caches share a key: a name is one escaped segment that holds no raw
 * ":", "/" or "#".
 *
 * | key                | holds                                                                            |
 * | ------------------ | -------------------------------------------------------------------------------- |
 * | `N:path`           | an entry, the lease on it, or both (`stored.ts`); `N/ns:path` in a namespace      |
 * | `N#head`           | where the log stands, and its newest record (`head.ts`)                           |
 * | `N#r:G:position`   | a record of generation G that is not the newest                                   |
 * | `N#c:G:n`          | the n-th of them that holds anything but keys, once more                          |
 * | `N#m:G:n`          | the marks after the first n of those                                              |
 * | `N#p:id:i`         | part i of something too large for one item                                        |
 *
 * A key that memcached does not take (more than 250 bytes, whitespace, control characters) is `#` and its SHA-256: no
 * other key begins so, and no two have been found with the same hash.
 */
export interface Layout {
  readonly head: string;
  entry(path: string): string;
  record(generation: string, position: number): string;
  control(generation: string, count: number): string;
  marks(generation: string, count: number): string;
  part(id: string, index: number): string;
}

/** Bytes, of the 250 that memcached takes. */
const MAX_KEY_LENGTH = 250;
// Lone surrogates as well: UTF-8 would fold them all into one.
const UNSAFE = /[\0-\x20\x7f\ud800-\udfff]/u;

export function layoutOf(cacheName: string, prefix: string): Layout {
  const name = encodeName(cacheName);
  const own = (rest: string): string => safeKey(prefix, `${name}#${rest}`);
  return {
    head: own("head"),
    entry: (path) => safeKey(prefix, path.startsWith("/") ? name + path : `${name}:${path}`),
    record: (generation, position) => own(`r:${generation}:${position}`),
    control: (generation, count) => own(`c:${generation}:${count}`),
    marks: (generation, count) => own(`m:${generation}:${count}`),
    part: (id, index) => own(`p:${id}:${index}`),
  };
}

function safeKey(prefix: string, key: string): string {
  const room = MAX_KEY_LENGTH - prefix.length;
  // A UTF-16 unit is 3 bytes at the most, so short ones need no counting.
  const fits = key.length * 3 <= room || Buffer.byteLength(key) <= room;
  if (fits && !UNSAFE.test(key)) return prefix + key;
  return `${prefix}#${createHash("sha256").update(Buffer.from(key, "utf16le")).digest("base64url")}`;
}

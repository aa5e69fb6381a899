import { encodeName } from "../keys.js";

/**
 * Where a cache's things are in Redis. No two caches share a key: a name is one escaped segment, and neither it nor a
 * path holds a raw "#", "{" or "}".
 *
 * | key              | type   | holds                                                              |
 * | ---------------- | ------ | ------------------------------------------------------------------ |
 * | `N:path`         | string | an entry, with its time to live; `N/ns:path` in a namespace         |
 * | `{N:path}#lease` | string | the token of who may load it, with its time to live                 |
 * | `{N:path}#parts` | hash   | a large entry's bytes in parts, with the entry's time to live       |
 * | `{N:path}#u:id`  | hash   | the same while they are uploaded, gone a minute after the last      |
 * | `N#head`         | string | "position control floor" in decimal; no other key is read on a hit  |
 * | `N#log`          | stream | records under the id `position-0`                                   |
 * | `N#marks`        | zset   | tags, prefixes and "all", scored by the position that moved them    |
 * | `N#rules`        | zset   | patterns and tag sets, likewise                                     |
 * | `N#fence`        | string | the last fencing number                                             |
 * | `N#bus`          |        | the channel of records and of leases that ended                     |
 */
export interface Layout {
  readonly head: string;
  readonly log: string;
  readonly marks: string;
  readonly rules: string;
  readonly fence: string;
  readonly channel: string;
  /** What every entry's key begins with, one way or another. */
  readonly entryPrefixes: readonly string[];
  entry(path: string): string;
  /** The path of the entry under this key; `undefined` for a key of something else. */
  pathOf(key: string): string | undefined;
  lease(path: string): string;
  parts(path: string): string;
  upload(path: string, id: string): string;
}

export function layoutOf(cacheName: string, keyPrefix: string, channelPrefix: string): Layout {
  const name = encodeName(cacheName);
  // The braces put what is beside an entry on its cluster slot. The prefix stays outside, where ioredis puts it.
  return layoutWithin(name, keyPrefix, channelPrefix, (path, what) => `{${pathWithin(name, path)}}#${what}`);
}

/**
 * Where one shard's things are in a Redis Cluster: as above with `N{tag}` for N, so that all of them, the channel too,
 * lie in the tag's slot. What is beside an entry is called `N{tag}#lease:path`: no brace may stand before the tag's.
 *
 * | key                   | type   | holds                                                             |
 * | --------------------- | ------ | ----------------------------------------------------------------- |
 * | `N{tag}:path`         | string | an entry: `crm{3/16.042}:user:42`                                  |
 * | `N{tag}#lease:path`   | string | who may load it; likewise `N{tag}#parts:path`, `N{tag}#u:id:path`  |
 * | `N{tag}#head` …       |        | the shard's log and all that belongs to it                        |
 * | `N#shards`            | string | of the whole cache: how many shards it has, see `shardCountKey`    |
 */
export function shardLayoutOf(cacheName: string, tag: string, keyPrefix: string, channelPrefix: string): Layout {
  const name = `${encodeName(cacheName)}{${tag}}`;
  return layoutWithin(name, keyPrefix, channelPrefix, (path, what) => `${name}#${what}:${path}`);
}

/** The key that holds how many shards a cache has, which every process must agree on. */
export function shardCountKey(cacheName: string, keyPrefix: string): string {
  return `${keyPrefix}${encodeName(cacheName)}#shards`;
}

function layoutWithin(
  name: string,
  keyPrefix: string,
  channelPrefix: string,
  beside: (path: string, what: string) => string,
): Layout {
  const prefix = keyPrefix + name;
  return {
    head: `${prefix}#head`,
    log: `${prefix}#log`,
    marks: `${prefix}#marks`,
    rules: `${prefix}#rules`,
    fence: `${prefix}#fence`,
    channel: `${channelPrefix}${name}#bus`,
    entryPrefixes: [`${prefix}:`, `${prefix}/`],
    entry: (path) => keyPrefix + pathWithin(name, path),
    pathOf(key) {
      if (key.startsWith(`${prefix}:`)) return key.slice(prefix.length + 1);
      return key.startsWith(`${prefix}/`) ? key.slice(prefix.length) : undefined;
    },
    lease: (path) => keyPrefix + beside(path, "lease"),
    parts: (path) => keyPrefix + beside(path, "parts"),
    upload: (path, id) => keyPrefix + beside(path, `u:${id}`),
  };
}

function pathWithin(name: string, path: string): string {
  return path.startsWith("/") ? name + path : `${name}:${path}`;
}

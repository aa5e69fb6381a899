import { encodeName } from "../keys.js";

/**
 * Where a cache's things are in Redis. No two caches share a key: a name is one escaped segment, and neither it nor a
 * path holds a raw "#", "{" or "}".
 *
 * | key              | type   | holds                                                              |
 * | ---------------- | ------ | ------------------------------------------------------------------ |
 * | `N:path`         | string | an entry, with its time to live; `N/ns:path` in a namespace         |
 * | `{N:path}#lease` | string | the token of who may load it, with its time to live                 |
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
  entry(path: string): string;
  lease(path: string): string;
}

export function layoutOf(cacheName: string, keyPrefix: string, channelPrefix: string): Layout {
  const name = encodeName(cacheName);
  const prefix = keyPrefix + name;
  const within = (path: string): string => (path.startsWith("/") ? name + path : `${name}:${path}`);
  return {
    head: `${prefix}#head`,
    log: `${prefix}#log`,
    marks: `${prefix}#marks`,
    rules: `${prefix}#rules`,
    fence: `${prefix}#fence`,
    channel: `${channelPrefix}${name}#bus`,
    entry: (path) => keyPrefix + within(path),
    // The braces put it on the entry's cluster slot. The prefix stays outside, where ioredis puts it.
    lease: (path) => `${keyPrefix}{${within(path)}}#lease`,
  };
}

/*
 * What the harness and its worker processes say to each other over the IPC channel, and the data in it. Times are
 * milliseconds on the machine's monotonic clock, which all its processes share (`now`).
 */

export const PEERS = ["tiercache", "bentocache", "cacheable", "layered-loader"] as const;
export type PeerName = (typeof PEERS)[number];

/** Ways to invalidate. */
export const HOWS = ["key", "tag", "prefix", "pattern", "all", "entity"] as const;
export type How = (typeof HOWS)[number];

/** A row of the source: every commit gives it the next version. */
export interface Row {
  readonly key: string;
  readonly version: number;
}

/** Keys are `item:g0:i0`; the groups are also tags (`group:g0`), and prefixes. */
export interface KeySpace {
  readonly groups: number;
  readonly ids: number;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where a worker finds Redis. */
export type RedisPlace =
  | {
      readonly kind: "server";
      /** Where commands go. */
      readonly url: string;
      /** Where the subscription goes, when that is a connection of its own. */
      readonly busUrl?: string | undefined;
    }
  | {
      readonly kind: "sentinels";
      /** What they call the master. */
      readonly name: string;
      readonly addresses: readonly Address[];
    }
  | { readonly kind: "cluster"; readonly addresses: readonly Address[] };

/** How a worker opens its cache. */
export interface WorkerSettings {
  readonly peer: PeerName;
  readonly redis: RedisPlace;
  readonly client?: "node-redis" | "ioredis" | undefined;
  /** How many shards the cache has on a cluster. */
  readonly shards?: number | undefined;
  readonly ttl: number;
  /** Serve stale this long while refreshing. */
  readonly staleWhileRevalidate?: number | undefined;
  readonly maxStaleness?: number | undefined;
  readonly leaseTtl?: number | undefined;
  /** Longest wait for Redis. Generous where loads are counted: on a busy machine a healthy server is slow as well. */
  readonly timeout?: number | undefined;
  /** Longest load. */
  readonly hardTimeout?: number | undefined;
  /** Loads at once in this process. */
  readonly loadsAtOnce?: number | undefined;
  /** How far this process's wall clock is off. */
  readonly wallOffset?: number | undefined;
  /** The source's client gives up after this long, as a database's does; the source works on all the same. */
  readonly loadTimeout?: number | undefined;
  /** Reads go through an entity of this version, whose schema knows these shapes. */
  readonly entity?: { readonly version: number; readonly shape: "a" | "b" } | undefined;
  /** Reads name the key's group as a tag. */
  readonly tagged: boolean;
}

export interface ReadPlan {
  readonly keys: readonly string[];
  /** Every so many milliseconds … */
  readonly every: number;
  /** … so many reads begin, whether or not earlier ones have been answered. @default 1 */
  readonly batch?: number | undefined;
  /** The next key by chance, of this seed; otherwise one after the other. */
  readonly seed?: number | undefined;
  /** Every read is of a key never read before: `<key>:<n>`. */
  readonly cold?: boolean | undefined;
  /** How long a reader waits for its answer. */
  readonly patience?: number | undefined;
}

export interface WritePlan extends KeySpace {
  readonly every: number;
  readonly hows: readonly How[];
  readonly seed: number;
}

/** One commit and one invalidation to go with it. */
export interface WriteOrder {
  /** The rows to commit. */
  readonly keys: readonly string[];
  readonly how: How;
  /** The key, tag, prefix, pattern or entity's name. */
  readonly target: string;
}

/** One read, as its process saw it. */
export interface Sample {
  readonly key: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** -1: rejected. */
  readonly version: number;
  readonly error?: string | undefined;
}

/** One write, as its process saw it. */
export interface WriteRecord {
  readonly how: How;
  readonly rows: readonly Row[];
  /** When the invalidation was sent, and when it resolved or rejected. */
  readonly sentAt: number;
  readonly settledAt: number;
  /** Why it rejected. */
  readonly error?: string | undefined;
}

export interface WorkerReport {
  /** What nobody handled. */
  readonly unhandled: readonly string[];
  /** Queries that were answered when nobody waited for their key any more. */
  readonly wasted: number;
}

export type Command =
  | { readonly type: "open"; readonly settings: WorkerSettings }
  | { readonly type: "read"; readonly keys: readonly string[]; readonly at?: number; readonly patience?: number }
  | { readonly type: "start-reading"; readonly plan: ReadPlan }
  | { readonly type: "stop-reading" }
  | { readonly type: "write"; readonly order: WriteOrder }
  | { readonly type: "start-writing"; readonly plan: WritePlan }
  | { readonly type: "stop-writing" }
  | { readonly type: "block"; readonly ms: number }
  | { readonly type: "values"; readonly count: number; readonly seed: number; readonly part: "load" | "shared" }
  | { readonly type: "report" }
  | { readonly type: "close" };

/** What each command is answered with. */
export interface Answers {
  readonly open: undefined;
  readonly read: Sample[];
  readonly "start-reading": undefined;
  readonly "stop-reading": Sample[];
  readonly write: WriteRecord;
  readonly "start-writing": undefined;
  readonly "stop-writing": WriteRecord[];
  readonly block: undefined;
  readonly values: string[];
  readonly report: WorkerReport;
  readonly close: undefined;
}

/** From a worker: the answer to a command, or a question to the source. */
export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "answer"; readonly id: number; readonly value?: unknown; readonly error?: string | undefined }
  | { readonly type: "load"; readonly id: number; readonly key: string }
  | { readonly type: "commit"; readonly id: number; readonly keys: readonly string[] };

/** To a worker: a command, or the source's answer. */
export type ToWorker =
  | { readonly type: "command"; readonly id: number; readonly command: Command }
  | { readonly type: "loaded"; readonly id: number; readonly row?: Row; readonly error?: string | undefined }
  | { readonly type: "committed"; readonly id: number; readonly rows: readonly Row[] };

/** Monotonic, and the same in every process of this machine (unlike `performance.now`). */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function keyOf(group: number, id: number): string {
  return `item:g${group}:i${id}`;
}

export function keysOf({ groups, ids }: KeySpace): string[] {
  return Array.from({ length: groups * ids }, (_, at) => keyOf(Math.floor(at / ids), at % ids));
}

/** The tag of a key: its group. */
export function tagOf(key: string): string {
  return `group:${key.split(":")[1] ?? ""}`;
}

/** One write of the given kind, somewhere in the space. */
export function orderOf(how: How, { groups, ids }: KeySpace, random: () => number): WriteOrder {
  const group = Math.floor(random() * groups);
  const id = Math.floor(random() * ids);
  const ofGroup = Array.from({ length: ids }, (_, i) => keyOf(group, i));
  switch (how) {
    case "key":
      return { how, keys: [keyOf(group, id)], target: keyOf(group, id) };
    case "tag":
      return { how, keys: ofGroup, target: `group:g${group}` };
    case "prefix":
      return { how, keys: ofGroup, target: `item:g${group}:` };
    case "pattern":
      return { how, keys: Array.from({ length: groups }, (_, g) => keyOf(g, id)), target: `item:*:i${id}` };
    case "entity":
    case "all":
      return { how, keys: keysOf({ groups, ids }), target: "item" };
  }
}

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

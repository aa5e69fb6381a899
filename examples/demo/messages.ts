/** What the driver and its workers say to each other. */

/** Where the workers' caches meet: a Redis, or a folder of this machine. */
export type SharedPlace =
  | { readonly kind: "redis"; readonly url: string }
  | { readonly kind: "host"; readonly folder: string };

export interface WorkerSettings {
  readonly databaseUrl: string;
  readonly schema: string | undefined;
  /** `undefined`: straight from the database. */
  readonly cache:
    | {
        readonly name: string;
        /** The feed's, for both workers. */
        readonly slot: string;
        readonly shared: SharedPlace | undefined;
        /** The dashboard's files, where the cache is to be looked at. */
        readonly assets: string | undefined;
      }
    | undefined;
}

export type ToWorker =
  | { readonly type: "start"; readonly settings: WorkerSettings }
  | { readonly type: "report" }
  | { readonly type: "weigh" }
  | { readonly type: "stop" };

/** Counts since the worker began. */
export interface WorkerCounters {
  /** Statements sent to the database. */
  readonly sourceQueries: number;
  /** Milliseconds of CPU time, user and system. */
  readonly cpuMs: number;
  readonly gets: number;
  readonly memoryHits: number;
  readonly sharedHits: number;
  readonly staleHits: number;
  readonly misses: number;
  readonly loads: number;
  /** Reads that shared another's load, in the process or in the other one. */
  readonly coalesced: number;
}

/** Which worker reads the database's log, and which would take over. */
export type FeedRole = "leader" | "standby";

export type FromWorker =
  | { readonly type: "ready"; readonly port: number; readonly dashboard: string | undefined }
  | {
      readonly type: "counters";
      readonly counters: WorkerCounters;
      readonly feed: FeedRole | undefined;
      readonly final: boolean;
    }
  /** Bytes that live in its heap: what is left after a collection. */
  | { readonly type: "weight"; readonly heap: number }
  | { readonly type: "error"; readonly message: string };

export const NO_COUNTERS: WorkerCounters = {
  sourceQueries: 0,
  cpuMs: 0,
  gets: 0,
  memoryHits: 0,
  sharedHits: 0,
  staleHits: 0,
  misses: 0,
  loads: 0,
  coalesced: 0,
};

export function addCounters(a: WorkerCounters, b: WorkerCounters): WorkerCounters {
  return combine(a, b, (x, y) => x + y);
}

export function subtractCounters(a: WorkerCounters, b: WorkerCounters): WorkerCounters {
  return combine(a, b, (x, y) => x - y);
}

function combine(a: WorkerCounters, b: WorkerCounters, with_: (x: number, y: number) => number): WorkerCounters {
  const keys = Object.keys(NO_COUNTERS) as (keyof WorkerCounters)[];
  return Object.fromEntries(keys.map((key) => [key, with_(a[key], b[key])])) as unknown as WorkerCounters;
}

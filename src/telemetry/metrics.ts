/** What a metric is called, says and counts. */
export interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Each has few values: those named here, the caches and entities that are declared, the shards. Never a key. */
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets, rising; the last bucket has none. */
  readonly buckets?: readonly number[] | undefined;
  /** How `prom-client` makes one value of those of several workers. @default "sum" */
  readonly aggregator?: "sum" | "max" | "min" | undefined;
}

/** Seconds an operation takes: from a neighbour on the loopback to a timeout. */
const OPERATION_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];
const LOADER_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const PROPAGATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** From a burst to a day. */
const AGE_BUCKETS = [0.1, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400];

/** What a metric is called in this code. */
export type MetricId =
  | "requests"
  | "missReasons"
  | "operationDuration"
  | "loaderDuration"
  | "loadsAvoided"
  | "coalesced"
  | "refused"
  | "evictions"
  | "entries"
  | "bytes"
  | "bytesLimit"
  | "loadsRunning"
  | "invalidations"
  | "propagation"
  | "invalidationsUnsent"
  | "heardAgo"
  | "logGaps"
  | "tierUp"
  | "tierFailures"
  | "circuit"
  | "writeBehindDepth"
  | "writeBehindOldest"
  | "writeBehindDead"
  | "feedLagBytes"
  | "feedLagSeconds"
  | "feedRetainedBytes"
  | "serveAge"
  | "staleViolations";

/** The metrics of "tiercache/prometheus", in the order of their exposition. Times are in seconds. */
export const METRICS: Readonly<Record<MetricId, MetricDefinition>> = {
  requests: {
    name: "cache_requests_total",
    help: "Reads of one key. tier: what answered (memory, shared), none for a read that no tier answered. result: hit, stale, miss, error (the tier failed), bypass (a fresh one was asked for).",
    type: "counter",
    labels: ["cache", "entity", "tier", "result"],
  },
  missReasons: {
    name: "cache_miss_reasons_total",
    help: "Reads that no tier answered, by why: cold, expired, evicted, invalidated-key, invalidated-tag, error ...",
    type: "counter",
    labels: ["cache", "entity", "reason"],
  },
  operationDuration: {
    name: "cache_operation_duration_seconds",
    help: "Operations that memory did not answer at once. operation: get, load, set, invalidate. result: hit, stale, miss, mixed (many keys), ok, error.",
    type: "histogram",
    labels: ["cache", "operation", "tier", "result"],
    buckets: OPERATION_BUCKETS,
  },
  loaderDuration: {
    name: "cache_loader_duration_seconds",
    help: "Runs of loaders. result: ok, error.",
    type: "histogram",
    labels: ["cache", "entity", "result"],
    buckets: LOADER_BUCKETS,
  },
  loadsAvoided: {
    name: "cache_loader_calls_avoided_total",
    help: "Reads answered without a call of their loader. why: memory, shared, stale, coalesced (another read's load answered).",
    type: "counter",
    labels: ["cache", "entity", "why"],
  },
  coalesced: {
    name: "cache_coalesced_waiters_total",
    help: "Reads that shared a load. across: process, or cluster (another process loaded).",
    type: "counter",
    labels: ["cache", "entity", "across"],
  },
  refused: {
    name: "cache_refused_total",
    help: "Values that were not stored, by why: fenced, skipped, unstorable, too-large, error.",
    type: "counter",
    labels: ["cache", "entity", "reason"],
  },
  evictions: {
    name: "cache_evictions_total",
    help: "Entries that left a tier by themselves. cause: evicted (no room), expired, refused (never stored).",
    type: "counter",
    labels: ["cache", "tier", "cause"],
  },
  entries: {
    name: "cache_entries",
    help: "Entries held by this process.",
    type: "gauge",
    labels: ["cache", "tier"],
  },
  bytes: {
    name: "cache_bytes",
    help: "Bytes held by this process, as it estimates them.",
    type: "gauge",
    labels: ["cache", "tier"],
  },
  bytesLimit: {
    name: "cache_bytes_limit",
    help: "Most bytes that this process may hold; absent without a limit.",
    type: "gauge",
    labels: ["cache", "tier"],
  },
  loadsRunning: {
    name: "cache_loads_running",
    help: "Loads at the gate. state: active, queued.",
    type: "gauge",
    labels: ["cache", "state"],
  },
  invalidations: {
    name: "cache_invalidations_total",
    help: "What invalidations named. source: own, or other (heard from another process). kind: key, tag, tags, prefix, pattern, all.",
    type: "counter",
    labels: ["cache", "source", "kind"],
  },
  propagation: {
    name: "cache_invalidation_propagation_seconds",
    help: "From an invalidation in another process, by the shared tier's clock, to its application here, by this machine's.",
    type: "histogram",
    labels: ["cache"],
    buckets: PROPAGATION_BUCKETS,
  },
  invalidationsUnsent: {
    name: "cache_invalidations_unsent",
    help: "Invalidations of this process that the shared tier has not acknowledged yet.",
    type: "gauge",
    labels: ["cache"],
  },
  heardAgo: {
    name: "cache_log_heard_ago_seconds",
    help: "Since the log of invalidations was last known complete.",
    type: "gauge",
    labels: ["cache"],
    aggregator: "max",
  },
  logGaps: {
    name: "cache_log_gaps_total",
    help: "Times the log of invalidations could not be followed without a gap.",
    type: "counter",
    labels: ["cache"],
  },
  tierUp: {
    name: "cache_tier_up",
    help: "1 while calls of the shared tier are let through as usual.",
    type: "gauge",
    labels: ["cache", "tier", "shard"],
    aggregator: "min",
  },
  tierFailures: {
    name: "cache_tier_failures_total",
    help: "Calls of the shared tier that failed or ran out of time.",
    type: "counter",
    labels: ["cache", "tier"],
  },
  circuit: {
    name: "cache_circuit_state",
    help: "Of the breaker before the shared tier: 0 closed, 1 half-open, 2 open.",
    type: "gauge",
    labels: ["cache", "tier", "shard"],
    aggregator: "max",
  },
  writeBehindDepth: {
    name: "cache_writebehind_depth",
    help: "Operations in a journal, of all processes, as last heard.",
    type: "gauge",
    labels: ["cache", "name"],
    aggregator: "max",
  },
  writeBehindOldest: {
    name: "cache_writebehind_oldest_seconds",
    help: "Since the oldest operation of a journal was written.",
    type: "gauge",
    labels: ["cache", "name"],
    aggregator: "max",
  },
  writeBehindDead: {
    name: "cache_writebehind_dead_letters",
    help: "Operations that the source refused and nobody has dealt with.",
    type: "gauge",
    labels: ["cache", "name"],
    aggregator: "max",
  },
  feedLagBytes: {
    name: "cache_feed_lag_bytes",
    help: "Bytes of the source's log that its feed has not published yet.",
    type: "gauge",
    labels: ["cache"],
    aggregator: "max",
  },
  feedLagSeconds: {
    name: "cache_feed_lag_seconds",
    help: "Since the feed was last known to have told everything; +Inf before that, and after it lost something.",
    type: "gauge",
    labels: ["cache"],
    aggregator: "max",
  },
  feedRetainedBytes: {
    name: "cache_feed_retained_bytes",
    help: "Bytes of its log that the source keeps for the feed.",
    type: "gauge",
    labels: ["cache"],
    aggregator: "max",
  },
  serveAge: {
    name: "cache_serve_age_seconds",
    help: "Age of values when they were served: of a sample of the hits in memory, and of every answer of the shared tier.",
    type: "histogram",
    labels: ["cache", "tier"],
    buckets: AGE_BUCKETS,
  },
  staleViolations: {
    name: "cache_stale_violations_total",
    help: "Entries found outdated longer than they may be, by what looked: changes, reads. Absent where nobody measures.",
    type: "counter",
    labels: ["cache", "check"],
  },
};

/** The names that services without this package use: one cache type for each entity. */
export const COMPATIBLE_METRICS: Readonly<Record<"hits" | "misses", MetricDefinition>> = {
  hits: {
    name: "cache_hits_total",
    help: "Total cache hits",
    type: "counter",
    labels: ["cache_type"],
  },
  misses: {
    name: "cache_misses_total",
    help: "Total cache misses",
    type: "counter",
    labels: ["cache_type"],
  },
};

/** Every name that a scrape may bring, those of histograms with their endings. */
export function seriesNames(): readonly string[] {
  const all: readonly MetricDefinition[] = [...Object.values(METRICS), ...Object.values(COMPATIBLE_METRICS)];
  return all.flatMap(({ name, type }) =>
    type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  /** How long it must hold. */
  readonly for: string;
  readonly severity: "warning" | "critical";
  readonly summary: string;
  /** What to do. */
  readonly description: string;
}

const RULES: readonly Rule[] = [
  {
    alert: "CacheHitRatioLow",
    expr: 'sum by (cache, entity) (rate(cache_requests_total{result=~"hit|stale"}[15m])) / sum by (cache, entity) (rate(cache_requests_total[15m])) < 0.8 and sum by (cache, entity) (rate(cache_requests_total[15m])) > 1',
    for: "15m",
    severity: "warning",
    summary: "{{ $labels.entity }} of {{ $labels.cache }} hits in {{ $value | humanizePercentage }} of its reads.",
    description:
      "cache_miss_reasons_total says why: evicted asks for memory, expired for a longer ttl, invalidated-... for narrower invalidations.",
  },
  {
    alert: "CacheTierDown",
    expr: "min by (cache, tier, shard) (cache_tier_up) == 0",
    for: "1m",
    severity: "critical",
    summary:
      "The shared tier {{ $labels.tier }} (shard {{ $labels.shard }}) of {{ $labels.cache }} does not answer a process.",
    description:
      "Reads go on with memory and the loaders; invalidations wait. Look at the server and the network between.",
  },
  {
    alert: "CacheInvalidationsUnsent",
    expr: "sum by (cache) (cache_invalidations_unsent) > 0",
    for: "2m",
    severity: "critical",
    summary: "{{ $value }} invalidations of {{ $labels.cache }} have not reached the shared tier.",
    description:
      "Other processes may serve what they outdate. They are sent again until acknowledged; look at the shared tier.",
  },
  {
    alert: "CacheLogUnheard",
    expr: "max by (cache) (cache_log_heard_ago_seconds) > 30",
    for: "1m",
    severity: "critical",
    summary:
      "A process of {{ $labels.cache }} has not heard the log of invalidations for {{ $value | humanizeDuration }}.",
    description:
      "It answers from memory what may be outdated, until maxStaleness. Look at its connection to the shared tier.",
  },
  {
    alert: "CacheInvalidationsSlow",
    expr: "histogram_quantile(0.99, sum by (le, cache) (rate(cache_invalidation_propagation_seconds_bucket[5m]))) > 1",
    for: "5m",
    severity: "warning",
    summary: "1 in 100 invalidations of {{ $labels.cache }} takes {{ $value | humanizeDuration }} to another process.",
    description: "An event loop that is blocked, a slow shared tier, or clocks that differ.",
  },
  {
    alert: "CacheLoaderErrors",
    expr: 'sum by (cache, entity) (rate(cache_loader_duration_seconds_count{result="error"}[5m])) / sum by (cache, entity) (rate(cache_loader_duration_seconds_count[5m])) > 0.05',
    for: "5m",
    severity: "critical",
    summary: "{{ $value | humanizePercentage }} of the loads of {{ $labels.entity }} ({{ $labels.cache }}) fail.",
    description: "Stale values are served where the policy has them. Look at the source.",
  },
  {
    alert: "CacheLoaderSlow",
    expr: 'histogram_quantile(0.99, sum by (le, cache, entity) (rate(cache_loader_duration_seconds_bucket{result="ok"}[5m]))) > 2.5',
    for: "10m",
    severity: "warning",
    summary: "1 in 100 loads of {{ $labels.entity }} ({{ $labels.cache }}) takes {{ $value | humanizeDuration }}.",
    description: "Look at the source; earlyRefresh and staleWhileRevalidate keep readers from waiting for it.",
  },
  {
    alert: "CacheLoadsQueued",
    expr: 'max by (cache) (cache_loads_running{state="queued"}) > 100',
    for: "1m",
    severity: "warning",
    summary: "{{ $value }} loads of {{ $labels.cache }} wait in a process.",
    description: "More is asked than loads.concurrency lets through: the source is slow, or the cache is cold.",
  },
  {
    alert: "CacheMemoryTooSmall",
    expr: 'sum by (cache) (rate(cache_miss_reasons_total{reason="evicted"}[15m])) / sum by (cache) (rate(cache_requests_total[15m])) > 0.1',
    for: "30m",
    severity: "warning",
    summary: "{{ $value | humanizePercentage }} of the reads of {{ $labels.cache }} miss what memory had to let go.",
    description: "Give it more memory; `tiercache plan` says how much is worth it.",
  },
  {
    alert: "CacheFeedBehind",
    expr: "max by (cache) (cache_feed_lag_seconds) > 30",
    for: "2m",
    severity: "critical",
    summary: "The change feed of {{ $labels.cache }} has not told everything for {{ $value | humanizeDuration }}.",
    description:
      "Past its bound fed entries are read from the source. Look at the feed's process, its slot and the database.",
  },
  {
    alert: "CacheFeedRetainsLog",
    expr: "max by (cache) (cache_feed_retained_bytes) > 10e9",
    for: "10m",
    severity: "critical",
    summary: "The database keeps {{ $value | humanize1024 }}B of its log for the feed of {{ $labels.cache }}.",
    description: "Its disk fills up while the feed does not read. Start the feed, or drop its slot.",
  },
  {
    alert: "CacheWriteBehindStuck",
    expr: "max by (cache, name) (cache_writebehind_oldest_seconds) > 300",
    for: "5m",
    severity: "critical",
    summary:
      "The oldest write of {{ $labels.name }} ({{ $labels.cache }}) has waited for {{ $value | humanizeDuration }}.",
    description: "It is safe in the journal and not in its source. Look at the events flush-failed.",
  },
  {
    alert: "CacheDeadLetters",
    expr: "max by (cache, name) (cache_writebehind_dead_letters) > 0",
    for: "1m",
    severity: "warning",
    summary: "The source refused {{ $value }} writes of {{ $labels.name }} ({{ $labels.cache }}).",
    description: "Retry or discard them with writeBehind.deadLetters.",
  },
  {
    alert: "CacheStaleViolation",
    expr: "sum by (cache, check) (increase(cache_stale_violations_total[1h])) > 0",
    for: "0m",
    severity: "critical",
    summary: "{{ $labels.cache }} served entries outdated longer than they may be.",
    description:
      "cache.stats().staleness.found names the newest. A write that passes the cache by, or a mapping of rows that is wrong.",
  },
];

/** Prometheus's alert rules over the metrics of this package: the text of a file of rules. */
export function alertRules(): string {
  const rules = RULES.map(
    ({ alert, expr, for: held, severity, summary, description }) => `      - alert: ${alert}
        expr: ${JSON.stringify(expr)}
        for: ${held}
        labels:
          severity: ${severity}
        annotations:
          summary: ${JSON.stringify(summary)}
          description: ${JSON.stringify(description)}
`,
  );
  return `groups:\n  - name: tiercache\n    rules:\n${rules.join("")}`;
}

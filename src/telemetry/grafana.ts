/** A dashboard as Grafana (10 or later) imports it. */
export interface GrafanaDashboard {
  readonly title: string;
  readonly uid: string;
  readonly panels: readonly GrafanaPanel[];
  readonly [field: string]: unknown;
}

export interface GrafanaPanel {
  readonly id: number;
  readonly title: string;
  readonly description: string;
  readonly targets: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string }[];
  readonly [field: string]: unknown;
}

interface PanelPlan {
  readonly title: string;
  readonly about: string;
  /** Grafana's name: `s`, `bytes`, `reqps`, `percentunit`, `short`. */
  readonly unit: string;
  /** Expressions by legend. */
  readonly lines: Readonly<Record<string, string>>;
  readonly stacked?: true;
}

/** What the dashboard's variables narrow everything to. */
const CACHE = 'cache=~"$cache"';
const ENTITY = `${CACHE},entity=~"$entity"`;
const RATE = "[$__rate_interval]";
const COLUMNS = 24;
const WIDTH = 12;
const HEIGHT = 8;

const PANELS: readonly PanelPlan[] = [
  {
    title: "Hit ratio by entity",
    about: "Reads that a tier answered, stale ones included. An entity below 80 % is worth a look at why it misses.",
    unit: "percentunit",
    lines: {
      "{{entity}}": `sum by (entity) (rate(cache_requests_total{${ENTITY},result=~"hit|stale"}${RATE})) / sum by (entity) (rate(cache_requests_total{${ENTITY}}${RATE}))`,
    },
  },
  {
    title: "Reads by result",
    about: "Of one key each.",
    unit: "reqps",
    lines: { "{{tier}} {{result}}": `sum by (tier, result) (rate(cache_requests_total{${ENTITY}}${RATE}))` },
    stacked: true,
  },
  {
    title: "Why reads miss",
    about: "cold: never stored, or long ago. evicted: memory is too small. invalidated-...: written or purged.",
    unit: "reqps",
    lines: { "{{reason}}": `sum by (reason) (rate(cache_miss_reasons_total{${ENTITY}}${RATE}))` },
    stacked: true,
  },
  {
    title: "Loader calls avoided",
    about: "Reads that did not call their loader, by what answered them.",
    unit: "reqps",
    lines: {
      "{{why}}": `sum by (why) (rate(cache_loader_calls_avoided_total{${ENTITY}}${RATE}))`,
      loaded: `sum(rate(cache_loader_duration_seconds_count{${ENTITY}}${RATE}))`,
    },
    stacked: true,
  },
  {
    title: "Loader duration",
    about: "Of loads that ended well.",
    unit: "s",
    lines: percentiles("cache_loader_duration_seconds", `${ENTITY},result="ok"`),
  },
  {
    title: "Loader errors",
    about: "Loads that failed or ran out of time, of all.",
    unit: "percentunit",
    lines: {
      "{{entity}}": `sum by (entity) (rate(cache_loader_duration_seconds_count{${ENTITY},result="error"}${RATE})) / sum by (entity) (rate(cache_loader_duration_seconds_count{${ENTITY}}${RATE}))`,
    },
  },
  {
    title: "Operations, 99th percentile",
    about: "Those that memory did not answer at once.",
    unit: "s",
    lines: {
      "{{operation}} {{tier}}": `histogram_quantile(0.99, sum by (le, operation, tier) (rate(cache_operation_duration_seconds_bucket{${CACHE}}${RATE})))`,
    },
  },
  {
    title: "Coalesced reads",
    about: "Reads that waited for a load that was under way already.",
    unit: "reqps",
    lines: { "{{across}}": `sum by (across) (rate(cache_coalesced_waiters_total{${ENTITY}}${RATE}))` },
    stacked: true,
  },
  {
    title: "Loads at the gate",
    about: "Queued loads wait for the source.",
    unit: "short",
    lines: { "{{state}}": `sum by (state) (cache_loads_running{${CACHE}})` },
  },
  {
    title: "Age of what is served",
    about: "Of a sample of the hits in memory, and of every answer of the shared tier.",
    unit: "s",
    lines: percentiles("cache_serve_age_seconds", CACHE),
  },
  {
    title: "Memory",
    about: "Of all processes.",
    unit: "bytes",
    lines: {
      used: `sum(cache_bytes{${CACHE}})`,
      limit: `sum(cache_bytes_limit{${CACHE}})`,
    },
  },
  {
    title: "Entries and evictions",
    about: "evicted: no room. expired: its time was over. refused: never stored.",
    unit: "short",
    lines: {
      entries: `sum(cache_entries{${CACHE}})`,
      "{{cause}} per second": `sum by (cause) (rate(cache_evictions_total{${CACHE}}${RATE}))`,
    },
  },
  {
    title: "Invalidations",
    about: "By what they named; other: heard from another process.",
    unit: "reqps",
    lines: { "{{source}} {{kind}}": `sum by (source, kind) (rate(cache_invalidations_total{${CACHE}}${RATE}))` },
  },
  {
    title: "Invalidations on their way",
    about: "From the shared tier's clock to their application in another process.",
    unit: "s",
    lines: percentiles("cache_invalidation_propagation_seconds", CACHE),
  },
  {
    title: "Shared tier",
    about: "1 is up. The breaker: 0 closed, 1 half-open, 2 open.",
    unit: "short",
    lines: {
      "up {{tier}} {{shard}}": `min by (tier, shard) (cache_tier_up{${CACHE}})`,
      "breaker {{tier}} {{shard}}": `max by (tier, shard) (cache_circuit_state{${CACHE}})`,
      "failures per second": `sum(rate(cache_tier_failures_total{${CACHE}}${RATE}))`,
    },
  },
  {
    title: "Log of invalidations",
    about: "Seconds since it was known complete, what waits to be sent, and gaps.",
    unit: "short",
    lines: {
      "heard ago (s)": `max(cache_log_heard_ago_seconds{${CACHE}})`,
      unsent: `sum(cache_invalidations_unsent{${CACHE}})`,
      "gaps per minute": `60 * sum(rate(cache_log_gaps_total{${CACHE}}${RATE}))`,
    },
  },
  {
    title: "Values not stored",
    about: "fenced: invalidated while they were loaded, which is right. unstorable, too-large: worth a look.",
    unit: "reqps",
    lines: { "{{reason}}": `sum by (reason) (rate(cache_refused_total{${ENTITY}}${RATE}))` },
  },
  {
    title: "Change feed",
    about: "How far it is behind its source, in time and in bytes of the source's log.",
    unit: "short",
    lines: {
      "behind (s)": `max(cache_feed_lag_seconds{${CACHE}})`,
      "behind (bytes)": `max(cache_feed_lag_bytes{${CACHE}})`,
      "retained (bytes)": `max(cache_feed_retained_bytes{${CACHE}})`,
    },
  },
  {
    title: "Write-behind",
    about: "What waits in journals, for how long, and what the source refused.",
    unit: "short",
    lines: {
      "{{name}} waiting": `max by (name) (cache_writebehind_depth{${CACHE}})`,
      "{{name}} oldest (s)": `max by (name) (cache_writebehind_oldest_seconds{${CACHE}})`,
      "{{name}} dead": `max by (name) (cache_writebehind_dead_letters{${CACHE}})`,
    },
  },
  {
    title: "Staleness violations",
    about: "Entries found outdated longer than they may be. Anything but 0 is a fault.",
    unit: "short",
    lines: { "{{check}} in an hour": `sum by (check) (increase(cache_stale_violations_total{${CACHE}}[1h]))` },
  },
];

/** The dashboard over the metrics of this package, for one cache or all. */
export function grafanaDashboard(): GrafanaDashboard {
  return {
    title: "tiercache",
    uid: "tiercache",
    tags: ["cache"],
    schemaVersion: 39,
    editable: true,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    templating: {
      list: [
        { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" },
        variable("cache", "label_values(cache_requests_total, cache)"),
        variable("entity", `label_values(cache_requests_total{${CACHE}}, entity)`),
      ],
    },
    panels: PANELS.map(panel),
  };
}

function panel(plan: PanelPlan, index: number): GrafanaPanel {
  const perRow = COLUMNS / WIDTH;
  const stacking = { mode: plan.stacked === true ? "normal" : "none" };
  return {
    id: index + 1,
    type: "timeseries",
    title: plan.title,
    description: plan.about,
    datasource: { type: "prometheus", uid: "${datasource}" },
    gridPos: { x: (index % perRow) * WIDTH, y: Math.floor(index / perRow) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: {
      defaults: {
        unit: plan.unit,
        min: 0,
        custom: { stacking, fillOpacity: plan.stacked === true ? 20 : 0, showPoints: "never" },
      },
      overrides: [],
    },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
    targets: Object.entries(plan.lines).map(([legendFormat, expr], at) => ({
      refId: String.fromCodePoint(65 + at),
      expr,
      legendFormat,
    })),
  };
}

function variable(name: string, query: string): object {
  return {
    name,
    type: "query",
    datasource: { type: "prometheus", uid: "${datasource}" },
    query,
    definition: query,
    includeAll: true,
    allValue: ".*",
    multi: true,
    refresh: 2,
    sort: 1,
    current: { text: "All", value: "$__all" },
  };
}

function percentiles(name: string, labels: string): Readonly<Record<string, string>> {
  const at = (share: number): string =>
    `histogram_quantile(${share}, sum by (le) (rate(${name}_bucket{${labels}}${RATE})))`;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

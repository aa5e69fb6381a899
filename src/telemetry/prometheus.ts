import type { Cache } from "../api.js";
import { systemClock } from "../clock.js";
import { CacheError } from "../errors.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";
import type { CacheStats } from "../stats.js";
import { EntityLabels } from "./entity-labels.js";
import { exposition, type CollectedMetric } from "./exposition.js";
import { Histogram, type Sample } from "./histogram.js";
import { measure, type Observe } from "./measures.js";
import { COMPATIBLE_METRICS, METRICS, type MetricDefinition, type MetricId } from "./metrics.js";
import { statsSamples, type Collected } from "./stats-samples.js";

export { alertRules } from "./alert-rules.js";
export { grafanaDashboard, type GrafanaDashboard, type GrafanaPanel } from "./grafana.js";
export { COMPATIBLE_METRICS, METRICS, type MetricDefinition, type MetricId } from "./metrics.js";
export type { CollectedMetric } from "./exposition.js";
export type { Sample } from "./histogram.js";

/** A metric as `prom-client` reads it when it is scraped. */
export interface CollectableMetric {
  name: string;
  readonly type: MetricDefinition["type"];
  get(): Promise<CollectedMetric>;
  /** Does nothing: a cache's counters are its own. */
  reset(): void;
}

/** What is asked of a registry: `Registry` of `prom-client` 14 or 15, or its `register`. */
export interface MetricRegistry {
  // Declared as a method: a registry of a narrower type of metric takes these as well, for all it does is call `get`.
  registerMetric(metric: never): unknown;
  removeSingleMetric(name: string): void;
}

export interface PrometheusOptions {
  /** Where the metrics are registered; without one, `text()` gives them. */
  registry?: MetricRegistry | undefined;
  /** Most entities of a cache that have a label of their own; those met later are counted together as `other`. @default 50 */
  entities?: number | undefined;
  /** Also `cache_hits_total` and `cache_misses_total` by `cache_type`, the entity. @default false */
  compatible?: boolean | undefined;
  /** The time operations are measured by; milliseconds. @default performance.now */
  now?: (() => number) | undefined;
}

/** The metrics of one or more caches. */
export interface PrometheusMetrics {
  /** Adds a cache. @returns takes it out again: its counters are gone from the next scrape. */
  watch(cache: Cache): () => void;
  /** All of them in Prometheus's text format, version 0.0.4. */
  text(): string;
  /** Lets go of every cache and of the registry. */
  close(): void;
}

const OPTIONS = ["registry", "entities", "compatible", "now"];
const DEFAULT_ENTITIES = 50;
/** The compatible name of keys that belong to no entity. */
const NO_ENTITY = "default";

interface Scrape {
  readonly stats: readonly CacheStats[];
  readonly collected: Collected;
}

interface Watched {
  readonly cache: Cache;
  readonly unwatch: () => void;
}

/**
 * Metrics of caches for Prometheus. What a cache counts anyway is read when it is scraped; only what is slower than a hit in
 * memory is timed.
 *
 * @example
 * const metrics = prometheus({ registry: register });
 * metrics.watch(cache);
 *
 * @throws CacheError `ERR_CACHE_OPTION`; the registry's own error when one of the names is taken.
 */
export function prometheus(options: PrometheusOptions = {}): PrometheusMetrics {
  knownOptions(options, OPTIONS, "prometheus");
  return new Exporter(options);
}

class Exporter implements PrometheusMetrics {
  readonly #entities: EntityLabels;
  readonly #now: () => number;
  readonly #registry: MetricRegistry | undefined;
  readonly #registered: string[] = [];
  readonly #compatible: boolean;
  readonly #watched = new Set<Watched>();
  readonly #histograms: Readonly<Record<Parameters<Observe>[0], Histogram>> = {
    operationDuration: histogramOf("operationDuration"),
    loaderDuration: histogramOf("loaderDuration"),
    propagation: histogramOf("propagation"),
    serveAge: histogramOf("serveAge"),
  };
  /** Read by the metrics of one scrape, which come one after the other. */
  #scrape: Scrape | undefined;

  constructor(options: PrometheusOptions) {
    this.#entities = new EntityLabels(wholeNumber(options.entities ?? DEFAULT_ENTITIES, "entities", 1));
    this.#now = options.now ?? (() => systemClock.now());
    if (typeof this.#now !== "function") throw optionError("now", "a function that returns milliseconds", this.#now);
    this.#compatible = options.compatible === true;
    this.#registry = options.registry;
    if (this.#registry !== undefined && typeof this.#registry.registerMetric !== "function")
      throw optionError("registry", "a registry of prom-client", this.#registry);
    try {
      for (const metric of this.#collectable()) {
        this.#registry?.registerMetric(metric as never);
        this.#registered.push(metric.name);
      }
    } catch (error) {
      // A name is taken, by somebody else: only what is ours is taken back.
      this.close();
      throw error;
    }
  }

  watch(cache: Cache): () => void {
    if (typeof cache?.watch !== "function") throw optionError("cache", "a cache", cache);
    for (const known of this.#watched)
      if (known.cache === cache || known.cache.name === cache.name)
        throw new CacheError(
          "ERR_CACHE_OPTION",
          `Expected \`cache\` to have a name of its own, got \`${cache.name}\` twice`,
        );
    const { name } = cache;
    const off = measure(
      cache,
      (metric, labels, value) => this.#histograms[metric].observe(labels, value),
      (entity) => this.#entities.of(name, entity),
      this.#now,
    );
    const watched: Watched = {
      cache,
      unwatch: () => {
        this.#watched.delete(watched);
        off();
      },
    };
    this.#watched.add(watched);
    return watched.unwatch;
  }

  text(): string {
    this.#scrape = undefined;
    return exposition(this.#definitions().map(([definition, samples]) => ({ ...definition, values: samples() })));
  }

  close(): void {
    for (const { unwatch } of [...this.#watched]) unwatch();
    for (const name of this.#registered.splice(0)) this.#registry?.removeSingleMetric(name);
  }

  #collectable(): CollectableMetric[] {
    return this.#definitions().map(([definition, samples]) => {
      const { help, type, aggregator = "sum" } = definition;
      return {
        name: definition.name,
        type,
        // A registry of the OpenMetrics format takes the ending off the name, here, and puts it back when it prints.
        async get() {
          return { name: this.name, help, type, aggregator, values: samples() };
        },
        reset: () => undefined,
      };
    });
  }

  #definitions(): (readonly [MetricDefinition, () => Sample[]])[] {
    const histograms: Partial<Record<MetricId, Histogram>> = this.#histograms;
    const own = (Object.keys(METRICS) as MetricId[]).map((id) => {
      const samples = (): Sample[] => histograms[id]?.samples() ?? this.#collect().collected[id] ?? [];
      return [METRICS[id], samples] as const;
    });
    if (!this.#compatible) return own;
    return [
      ...own,
      [COMPATIBLE_METRICS.hits, () => this.#byType(({ gets, misses }) => gets - misses)],
      [COMPATIBLE_METRICS.misses, () => this.#byType(({ misses }) => misses)],
    ];
  }

  /** One reading of the caches for all metrics of a scrape. */
  #collect(): Scrape {
    if (this.#scrape === undefined) {
      const stats = Array.from(this.#watched, ({ cache }) => cache.stats());
      this.#scrape = { stats, collected: statsSamples(stats, this.#entities) };
      // A registry asks all of its metrics in one go; whoever asks later is another scrape.
      queueMicrotask(() => (this.#scrape = undefined));
    }
    return this.#scrape;
  }

  #byType(of: (reads: CacheStats["total"]) => number): Sample[] {
    const totals = new Map<string, number>();
    for (const { name, entities } of this.#collect().stats) {
      for (const [entity, reads] of Object.entries(entities)) {
        const type = this.#entities.of(name, entity) || NO_ENTITY;
        totals.set(type, (totals.get(type) ?? 0) + of(reads));
      }
    }
    return Array.from(totals, ([cache_type, value]) => ({ labels: { cache_type }, value }));
  }
}

function histogramOf(id: MetricId): Histogram {
  const { name, buckets } = METRICS[id];
  return new Histogram(name, buckets ?? []);
}

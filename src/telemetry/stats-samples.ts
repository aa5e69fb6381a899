import type { CacheStats, ReadStats, SharedStats } from "../stats.js";
import type { EntityLabels } from "./entity-labels.js";
import type { Sample } from "./histogram.js";
import type { MetricId } from "./metrics.js";

/** Samples of metrics, by the names in the catalogue. */
export type Collected = Partial<Record<MetricId, Sample[]>>;

type Add = (metric: MetricId, labels: Readonly<Record<string, string>>, value: number) => void;

const CIRCUITS = { closed: 0, "half-open": 1, open: 2 } as const;

/** What a cache counts, as samples: read when somebody scrapes, so that counting costs a read nothing more. */
export function statsSamples(stats: readonly CacheStats[], entities: EntityLabels): Collected {
  const collected: Collected = {};
  const sums = new Map<string, { labels: Readonly<Record<string, string>>; value: number; into: Sample[] }>();
  const add: Add = (metric, labels, value) => {
    // Entities that share a label are added up.
    const id = `${metric}\u0000${Object.values(labels).join("\u0000")}`;
    const known = sums.get(id);
    if (known === undefined) sums.set(id, { labels, value, into: (collected[metric] ??= []) });
    else known.value += value;
  };
  for (const one of stats) ofCache(one, entities, add);
  for (const { labels, value, into } of sums.values()) into.push({ labels, value });
  return collected;
}

function ofCache(stats: CacheStats, entities: EntityLabels, add: Add): void {
  const { name: cache, memory, shared } = stats;
  for (const [name, reads] of Object.entries(stats.entities)) ofReads(cache, entities.of(cache, name), reads, add);
  for (const source of ["own", "other"] as const)
    for (const [kind, count] of Object.entries(stats.marks[source]))
      add("invalidations", { cache, source, kind }, count);
  add("loadsRunning", { cache, state: "active" }, stats.gate.active);
  add("loadsRunning", { cache, state: "queued" }, stats.gate.queued);
  if (memory !== undefined) {
    const tier = "memory";
    for (const cause of ["evicted", "expired", "refused"] as const)
      add("evictions", { cache, tier, cause }, memory[cause]);
    add("entries", { cache, tier }, memory.entries);
    add("bytes", { cache, tier }, memory.bytes);
    if (Number.isFinite(memory.maxBytes)) add("bytesLimit", { cache, tier }, memory.maxBytes);
  }
  if (shared !== undefined) ofShared(cache, shared, add);
  for (const { name, depth, oldest, dead } of stats.writeBehind ?? []) {
    add("writeBehindDepth", { cache, name }, depth);
    add("writeBehindOldest", { cache, name }, oldest / 1_000);
    add("writeBehindDead", { cache, name }, dead);
  }
  ofSource(cache, stats, add);
}

function ofReads(cache: string, entity: string, reads: ReadStats, add: Add): void {
  const of = { cache, entity };
  const { hits, staleFrom, staleHits, missReasons, coalesced } = reads;
  for (const tier of ["memory", "shared"] as const) {
    add("requests", { ...of, tier, result: "hit" }, hits[tier]);
    add("requests", { ...of, tier, result: "stale" }, staleFrom[tier]);
    add("loadsAvoided", { ...of, why: tier }, hits[tier]);
  }
  const { bypass = 0, error = 0 } = missReasons;
  add("requests", { ...of, tier: "none", result: "miss" }, reads.misses - bypass - error);
  add("requests", { ...of, tier: "none", result: "error" }, error);
  add("requests", { ...of, tier: "none", result: "bypass" }, bypass);
  add("loadsAvoided", { ...of, why: "stale" }, staleHits);
  add("loadsAvoided", { ...of, why: "coalesced" }, reads.loadsShared);
  for (const [reason, count] of Object.entries(missReasons)) add("missReasons", { ...of, reason }, count);
  for (const [reason, count] of Object.entries(reads.refused)) add("refused", { ...of, reason }, count);
  for (const across of ["process", "cluster"] as const) add("coalesced", { ...of, across }, coalesced[across]);
}

function ofShared(cache: string, shared: SharedStats, add: Add): void {
  const tier = shared.kind;
  add("tierFailures", { cache, tier }, shared.failures);
  add("invalidationsUnsent", { cache }, shared.unsent);
  add("heardAgo", { cache }, shared.heardAgo / 1_000);
  add("logGaps", { cache }, shared.gaps);
  for (const [index, { up, circuit }] of shared.shards.entries()) {
    const of = { cache, tier, shard: String(index) };
    add("tierUp", of, up ? 1 : 0);
    add("circuit", of, CIRCUITS[circuit]);
  }
}

/** What feeds the cache, and how stale that leaves it. */
function ofSource(cache: string, { feed, staleness }: CacheStats, add: Add): void {
  if (feed !== undefined) {
    add("feedLagSeconds", { cache }, feed.completeAgo / 1_000);
    const { lagBytes, retainedBytes } = feed as Readonly<Record<string, unknown>>;
    if (typeof lagBytes === "number") add("feedLagBytes", { cache }, lagBytes);
    if (typeof retainedBytes === "number") add("feedRetainedBytes", { cache }, retainedBytes);
  }
  if (staleness === undefined) return;
  const changes = staleness.changes.reduce((total, { violations }) => total + violations, 0);
  add("staleViolations", { cache, check: "changes" }, changes);
  add("staleViolations", { cache, check: "reads" }, staleness.reads.violations);
}

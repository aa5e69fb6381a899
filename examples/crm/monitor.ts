import type { CacheStats } from "../../src/index.js";

/** The share of reads that should be answered without the database. Below it: is the ttl too short, do keys not match, is the data too volatile? */
export const TARGET_HIT_RATIO = 0.8;

/** One line for each entity, the busiest first, and one for all. */
export function reportLines(stats: CacheStats): string[] {
  const entities = Object.entries(stats.entities)
    .filter(([, reads]) => reads.gets > 0)
    .sort(([, a], [, b]) => b.gets - a.gets);
  return [...entities, ["all", stats.total] as const].map(([name, { gets, misses, loads, hitRatio }]) =>
    [
      (name === "" ? "(no entity)" : name).padEnd(12),
      `${gets} reads`.padStart(12),
      `${misses} misses`.padStart(12),
      `${loads} loads`.padStart(11),
      `${(hitRatio * 100).toFixed(1)} % hits`.padStart(14),
      hitRatio >= TARGET_HIT_RATIO ? "  on target" : "  below target",
    ].join(""),
  );
}

import type { Held } from "../entries/held.js";

/** What a load is taken to cost at the least: the lease alone is two trips. Milliseconds. */
const LEAST_COST = 5;
/** Costs of a load that a hot entry is refreshed ahead of its end, at the least. */
const LEAST_LEAD = 2;

/**
 * How long before the end of its freshness a hot entry is refreshed; milliseconds.
 *
 * XFetch (Vattani et al., VLDB 2015) asks chance at every read; drawn once for an entry, Δ·(−ln u) comes too late for a
 * load that takes Δ in 63 of 100 cases, and a key with a thousand readers has them all wait. Asked at every one of so many
 * reads it comes Δ·ln(reads during Δ) earlier, which is a few Δ. So a draw of a hot key begins at two. The chance in
 * it still spreads processes apart: the first gets the lease, the others find what it has stored.
 *
 * At most half of the entry's life, or a load that takes as long as that would follow the one before at once.
 */
export function leadOf(held: Held, now: number, random: () => number): number {
  const draw = LEAST_LEAD - Math.log(1 - random());
  // One that only memory keeps for a shorter time is not loaded anew but read again from the shared tier.
  if (held.freshUntil < held.staleFrom) return Math.min(LEAST_COST * draw, (held.freshUntil - now) / 2);
  return Math.min(Math.max(held.fields.loadCost, LEAST_COST) * draw, (held.freshUntil - held.createdAt) / 2);
}

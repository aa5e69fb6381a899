import type { MissReason } from "./events.js";

/** What one tier would answer now. */
export interface TierExplanation {
  readonly tier: "memory" | "shared";
  /** `fresh` would be served; `stale` only under SWR or on error; `dead` is stored and never served; `absent` is not stored; `down` did not answer. */
  readonly state: "fresh" | "stale" | "dead" | "absent" | "down";
  /** Why it would not be served fresh. */
  readonly reason: MissReason | undefined;
  /** Milliseconds of freshness left, below 0 when stale. */
  readonly freshFor: number | undefined;
  /** Milliseconds since it was loaded or set. */
  readonly age: number | undefined;
  readonly tags: readonly string[];
  /** Bytes: an estimate of heap in memory, the envelope's length in the shared tier. */
  readonly bytes: number | undefined;
  /** The log's position up to which it is known not to be invalidated. */
  readonly position: number | undefined;
}

/** Where a key is stored and why a read of it would miss. */
export interface Explanation {
  readonly key: string;
  readonly tiers: readonly TierExplanation[];
  /** Whether a load of it is under way in this process. */
  readonly loading: boolean;
  /** Failures in a row of its loader, and milliseconds until the next try. */
  readonly failures: { readonly count: number; readonly retryIn: number } | undefined;
  /** One sentence. */
  readonly summary: string;
}

/** The policies that decide request by request. */
export type OnlinePolicy = "fifo" | "lru" | "lfu" | "2q" | "arc" | "sieve" | "s3fifo" | "wtinylfu" | "tiercache";

/** All of them: `"opt"` knows the future. */
export type PolicyName = OnlinePolicy | "opt";

/** In the order in which they are shown. */
export const POLICY_NAMES: readonly PolicyName[] = [
  "fifo",
  "lru",
  "lfu",
  "2q",
  "arc",
  "sieve",
  "s3fifo",
  "wtinylfu",
  "tiercache",
  "opt",
];

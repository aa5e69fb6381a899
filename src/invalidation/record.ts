/**
 * What one part of an invalidation hits. All names are canonical paths of `keys.ts` (no cache name).
 *
 * - `key`: that entry.
 * - `tag`: every entry that carries the tag.
 * - `tags`: every entry that carries all of the tags (sorted).
 * - `prefix`: every key that is the path, or lies below it; a path that ends in ":" hits only what lies below.
 * - `pattern`: every key that the pattern matches (`patterns.ts`, `patternMatcher`).
 * - `all`: everything.
 */
export type Mark =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "tag"; readonly tag: string }
  | { readonly kind: "tags"; readonly tags: readonly string[] }
  | { readonly kind: "prefix"; readonly prefix: string }
  | { readonly kind: "pattern"; readonly pattern: string }
  | { readonly kind: "all" };

/**
 * One acknowledged invalidation, as the log keeps it.
 *
 * Positions are integers below 2^53 that only grow: the server's time in microseconds, or the previous
 * position + 1 where the clock has not moved past it. Each record names the position before it, so a reader
 * knows when it missed one: it applies a record only if `previous` is the position it has applied.
 */
export interface LogRecord {
  readonly position: number;
  /** The position of the record before this one; for the first record of a generation, the generation's start. */
  readonly previous: number;
  /** Which process wrote it: random per cache instance. */
  readonly origin: string;
  /** Soft: what it hits becomes stale and may still be served under SWR and stale-if-error. Hard: it is gone. */
  readonly soft: boolean;
  readonly marks: readonly Mark[];
}

/** Where the log stands. */
export interface Head {
  /** The position of the newest record, or of the generation's start. */
  readonly position: number;
  /** The position of the newest record that holds a mark other than `key`; a reader that has applied it knows every tag. */
  readonly control: number;
  /**
   * Everything whose position is lower is not to be trusted: the generation's start, raised when old marks
   * had to be forgotten.
   */
  readonly floor: number;
}

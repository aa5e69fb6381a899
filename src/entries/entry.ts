/**
 * A stored value with all that decides whether it may be served. Times are lengths in milliseconds and
 * `createdAt` is on the monotonic clock of the process that holds it: the envelope carries the wall-clock
 * creation, and promotion translates (see `envelope.ts`).
 */
export interface EntryFields<T = unknown> {
  readonly value: T;
  /** Unique per fill: tells whether two tiers hold the same entry. 8 bytes. */
  readonly stamp: Uint8Array;
  /** How long it is fresh, after jitter. */
  readonly ttl: number;
  /** How long after that it may be served while it is refreshed (RFC 5861 §3). */
  readonly staleWhileRevalidate: number;
  /** How long after that it may be served when a load fails (RFC 5861 §4). */
  readonly staleIfError: number;
  /** What the load took; the Δ of XFetch. 0 for an entry that was set. */
  readonly loadCost: number;
  /**
   * The log's position when the load began: everything invalidated later hits it, whenever it is stored.
   */
  readonly position: number;
  /** Canonical tag paths, without duplicates. */
  readonly tags: readonly string[];
  /** The entity's version and schema, so that an older shape is a miss. 0 when it belongs to no entity. */
  readonly fingerprint: number;
  /** Validator handed to the next load as `ctx.previous.etag`. */
  readonly etag: string | undefined;
  /** Sliding: each read starts `ttl` again (in the tier that answers). */
  readonly sliding: boolean;
}

import type { How, PeerName } from "../protocol.js";

/** What a scenario may ask of a library; what is missing is told as not supported, not as a failure. */
export interface Abilities {
  /** Ways to invalidate what a read-through call has stored. */
  readonly hows: readonly How[];
  /** Serving stale while a value is refreshed. */
  readonly staleWhileRevalidate: boolean;
  /** Entities with versions and schemas. */
  readonly entities: boolean;
  /** Loads shared between processes. */
  readonly leases: boolean;
  /** A bound on how long a load may take. */
  readonly hardTimeout: boolean;
  /** A bound on what memory answers without word from the others. */
  readonly maxStaleness: boolean;
}

/** What no library but tiercache has. */
const NONE = { entities: false, leases: false, maxStaleness: false } as const;

export const ABILITIES: Readonly<Record<PeerName, Abilities>> = {
  tiercache: {
    hows: ["key", "tag", "prefix", "pattern", "all"],
    staleWhileRevalidate: true,
    entities: true,
    leases: true,
    hardTimeout: true,
    maxStaleness: true,
  },
  bentocache: { hows: ["key", "tag", "all"], staleWhileRevalidate: true, hardTimeout: true, ...NONE },
  // Its tags go with `set`; `getOrSet`, which loads, takes none.
  cacheable: { hows: ["key", "all"], staleWhileRevalidate: false, hardTimeout: false, ...NONE },
  // A group is the one tag an entry can have.
  "layered-loader": { hows: ["key", "tag", "all"], staleWhileRevalidate: true, hardTimeout: false, ...NONE },
};

/** What a policy knows of the tier it serves. */
export interface PolicyContext {
  /** Most entries the tier keeps. */
  readonly maxEntries: number;
  /** Most bytes the tier keeps. */
  readonly maxBytes: number;
  /** Whether to tell what another capacity would hit. @default true */
  readonly curve?: boolean | undefined;
  readonly weights: WeightsBySlot;
  /** Source of chance, in [0, 1). */
  random(): number;
}

export interface WeightsBySlot {
  /** Bytes of the entry in a slot. */
  of(slot: number): number;
}

/** What a tier of another size would hit. */
export interface CurvePoint {
  /** Share of today's capacity: 1 is today's. */
  readonly capacity: number;
  /** Hits of all requests of late, 0 to 1. */
  readonly hitRatio: number;
}

export interface PolicyStats {
  /** Share of the capacity kept for newcomers, 0 to 1; 0 for a policy without a window. */
  readonly windowShare: number;
  /**
   * What a quarter, half, twice and four times the capacity would hit, and today's between them, in ascending order;
   * empty when not enough was seen, or when the policy does not tell.
   */
  curve?(): readonly CurvePoint[];
}

/**
 * Decides which entry makes room.
 *
 * It sees entries as slots: small integers, each naming one entry from `onAdd` to `onRemove` and used again afterwards.
 * Keys and values are the tier's business. Calls come in the order of what happened; a policy never calls back.
 */
export interface EvictionPolicy {
  /**
   * A new entry sits in `slot`. The tier may be over its bounds until it has asked for victims.
   *
   * @param hash 30 seeded bits of the key, the same for the same key each time it returns.
   */
  onAdd(slot: number, hash: number): void;
  /**
   * An entry with this hash is coming, and will cost another its place: memory that both will need is fetched, all at once.
   *
   * @returns the slot that is likely to be the victim, -1 for none; nothing is promised.
   */
  prepare?(hash: number): number;
  /** Reads that found their entry: the first `count` of `slots`, oldest first. */
  onUse(slots: Uint32Array, count: number): void;
  /** The entry took another value, which is also a use; `weights` tell the new weight already. */
  onReplace(slot: number, previousWeight: number): void;
  /** The entry is leaving, for whatever cause; `weights` still tell its weight. */
  onRemove(slot: number): void;
  /** The entry to remove next, asked only while the tier holds one and is over a bound; `onRemove` or `onSpare` follows before anything else. */
  nextVictim(): number;
  /** The victim is not to be removed: others are, before it is named again. It was not used. */
  onSpare(slot: number): void;
  /** Slots from 0 to `slots` - 1 may be used from now on: more than before, or 0 when no entry is held. */
  resize(slots: number): void;
  readonly stats: PolicyStats;
}

export type PolicyFactory = (context: PolicyContext) => EvictionPolicy;

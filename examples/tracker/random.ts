/** A repeatable source of chance: the same seed, the same numbers. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** An integer in [0, below). */
  below(below: number): number;
  /** One of them. */
  pick<T>(from: readonly T[]): T;
}

/** Mulberry32 over a seed spread by one round of its own: 32 bits of state, fast, good enough to draw data and load. */
export function seededRandom(seed: number): Random {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    pick<T>(from: readonly T[]): T {
      if (from.length === 0) {
        throw new RangeError("Expected something to pick from, got an empty list");
      }
      return from[below(from.length)] as T;
    },
  };
}

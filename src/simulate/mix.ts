/* Hashing and chance that are the same on every machine, so that a simulation can be run again. */

const TWO_32 = 2 ** 32;
/** The fractional part of the golden ratio, as 32 bits: consecutive multiples of it are far apart. */
const GOLDEN = 0x9e3779b9;

/** Spreads 32 bits so that each bit of the result depends on each of the argument; a bijection. */
export function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** A 32-bit hash of a key. A number and its decimal digits are the same key and have the same hash. */
export function hashOf(key: string | number): number {
  const text = String(key);
  let hash = GOLDEN;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** Numbers in [0, 1), the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = mix(seed);
  return () => {
    state = (state + GOLDEN) | 0;
    return mix(state) / TWO_32;
  };
}

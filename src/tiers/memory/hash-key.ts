/** Longer keys are hashed by their ends and length: the policy needs good guesses, not identity. */
const WHOLE = 256;
const END = WHOLE / 2;

/**
 * 30 bits of a key that nobody can predict without the seed, so that no one can choose keys that share counters.
 *
 * The seed is the multiplier as well as the start: with a public multiplier, keys that collide under one start tend
 * to collide under all.
 */
export function hashKey(key: string, seed: number): number {
  const multiplier = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) | 1;
  const length = key.length;
  let hash = Math.imul(seed ^ length, 0x9e3779b1);
  if (length <= WHOLE) {
    hash = mix(key, 0, length, hash, multiplier);
  } else {
    hash = mix(key, 0, END, hash, multiplier);
    hash = mix(key, length - END, length, hash, multiplier);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 2;
}

function mix(key: string, from: number, to: number, start: number, multiplier: number): number {
  let hash = start;
  for (let i = from; i < to; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), multiplier);
    hash ^= hash >>> 15;
  }
  return hash;
}

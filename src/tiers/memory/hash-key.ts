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
  return finish(hash) >>> 2;
}

/** Has every bit depend on all of the state (the last step of MurmurHash3). */
function finish(state: number): number {
  let hash = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function mix(key: string, from: number, to: number, start: number, multiplier: number): number {
  let hash = start;
  for (let i = from; i < to; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), multiplier);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** A hash that nobody can predict. */
export function createKeyHash(random: () => number): KeyHash {
  return new KeyHash(Math.floor(random() * 2 ** 32));
}

/**
 * 32 bits of a key, of every unit of it: for a table in which keys that share a hash cost each other time, so that nobody
 * may be able to choose such keys. Each step is a bijection of the state, and what a unit does to its upper half depends
 * on the secret multiplier; a unit has 16 bits and cannot take that back.
 *
 * It may be computed piece by piece: `state` stands for the text before.
 */
export class KeyHash {
  /** The state before any text. */
  readonly start: number;
  readonly #multiplier: number;

  constructor(seed: number) {
    this.#multiplier = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) | 1;
    this.start = Math.imul(seed ^ 0x2545f491, 0x9e3779b1);
  }

  of(key: string): number {
    return finish(mix(key, 0, key.length, this.start, this.#multiplier));
  }

  /** The state after `text`. */
  after(text: string): number {
    return mix(text, 0, text.length, this.start, this.#multiplier);
  }

  /** The hash of the text that `state` stands for, followed by these units. */
  ofUnits(state: number, units: Uint16Array, from: number, to: number): number {
    const multiplier = this.#multiplier;
    let hash = state;
    for (let i = from; i < to; i += 1) {
      hash = Math.imul(hash ^ (units[i] as number), multiplier);
      hash ^= hash >>> 15;
    }
    return finish(hash);
  }
}

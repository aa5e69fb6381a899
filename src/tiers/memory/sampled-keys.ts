import { Weights } from "./weights.js";

const NONE = -1;
const FEWEST = 64;

/**
 * The keys that any of several shadow caches hold, found by their hash: one node each, whoever holds it.
 *
 * A chained hash table in typed arrays. A node is free again when its last holder has released it; holders are bits of
 * a word, so there are at most 31.
 */
export class SampledKeys {
  readonly #onGrow: (nodes: number) => void;
  #hashes: Int32Array = new Int32Array(0);
  readonly weights: Weights = new Weights(Number.POSITIVE_INFINITY);
  #holders: Int32Array = new Int32Array(0);
  /** The next node of the same bucket, or the next free one. */
  #next: Int32Array = new Int32Array(0);
  /** As many buckets as nodes. */
  #heads: Int32Array = new Int32Array(0);
  #free = NONE;

  /** @param onGrow told of the number of nodes there may be from now on. */
  constructor(onGrow: (nodes: number) => void) {
    this.#onGrow = onGrow;
  }

  /** The key's node; a new one weighs nothing and has no holder, and must get one. */
  take(hash: number): number {
    const found = this.#find(hash);
    if (found !== NONE) return found;
    if (this.#free === NONE) this.#grow();
    const node = this.#free;
    this.#free = this.#next[node] as number;
    this.#hashes[node] = hash;
    this.weights.set(node, 0);
    this.#link(node);
    return node;
  }

  /** A bit for each holder. */
  holdersOf(node: number): number {
    return this.#holders[node] as number;
  }

  hold(node: number, holder: number): void {
    this.#holders[node] = this.holdersOf(node) | (1 << holder);
  }

  release(node: number, holder: number): void {
    const holders = this.holdersOf(node) & ~(1 << holder);
    this.#holders[node] = holders;
    if (holders !== 0) return;
    this.#unlink(node);
    this.#next[node] = this.#free;
    this.#free = node;
  }

  /** Nodes whose hash is so much or more. */
  *heldFrom(hash: number): IterableIterator<number> {
    for (let node = 0; node < this.#hashes.length; node += 1) {
      if (this.holdersOf(node) !== 0 && (this.#hashes[node] as number) >= hash) yield node;
    }
  }

  #bucketOf(hash: number): number {
    return hash & (this.#heads.length - 1);
  }

  #find(hash: number): number {
    if (this.#heads.length === 0) return NONE;
    let node = this.#heads[this.#bucketOf(hash)] as number;
    while (node !== NONE && this.#hashes[node] !== hash) node = this.#next[node] as number;
    return node;
  }

  #link(node: number): void {
    const bucket = this.#bucketOf(this.#hashes[node] as number);
    this.#next[node] = this.#heads[bucket] as number;
    this.#heads[bucket] = node;
  }

  #unlink(node: number): void {
    const bucket = this.#bucketOf(this.#hashes[node] as number);
    const after = this.#next[node] as number;
    let previous = this.#heads[bucket] as number;
    if (previous === node) {
      this.#heads[bucket] = after;
      return;
    }
    while (this.#next[previous] !== node) previous = this.#next[previous] as number;
    this.#next[previous] = after;
  }

  /** Doubles, when every node is in use: all are linked anew, the others are free. */
  #grow(): void {
    const used = this.#hashes.length;
    const nodes = Math.max(FEWEST, 2 * used);
    this.#hashes = copied(this.#hashes, new Int32Array(nodes));
    this.weights.resize(nodes);
    this.#holders = copied(this.#holders, new Int32Array(nodes));
    this.#next = new Int32Array(nodes);
    this.#heads = new Int32Array(nodes).fill(NONE);
    for (let node = 0; node < used; node += 1) this.#link(node);
    for (let node = nodes - 1; node >= used; node -= 1) {
      this.#next[node] = this.#free;
      this.#free = node;
    }
    this.#onGrow(nodes);
  }
}

function copied(from: Int32Array, to: Int32Array): Int32Array {
  to.set(from);
  return to;
}

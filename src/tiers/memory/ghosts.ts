/** Tags of one bucket: 16 bytes. */
const WAYS = 8;

/**
 * Which keys were evicted lately, in two bytes each: a set-associative table of 16-bit tags of their hashes.
 *
 * A full bucket forgets its oldest tag, and buckets fill unevenly, so a key is remembered for about as many evictions
 * as there is room, not exactly. A stranger is taken for one of them once in some 8000 times.
 */
export class Ghosts {
  #tags: Uint16Array = new Uint16Array(0);
  #buckets = 0;

  /** Makes room for more, forgetting all: the tags do not tell where they would belong. */
  ensureCapacity(ghosts: number): void {
    if (ghosts <= this.#tags.length) return;
    this.#buckets = Math.ceil(ghosts / WAYS);
    this.#tags = new Uint16Array(this.#buckets * WAYS);
  }

  clear(): void {
    this.#tags = new Uint16Array(0);
    this.#buckets = 0;
  }

  /** The key is the newest of its bucket, whether it was in there or not. */
  add(hash: number): void {
    const tags = this.#tags;
    if (tags.length === 0) return;
    const mixed = mix(hash);
    const first = this.#firstOf(mixed);
    const tag = tagOf(mixed);
    let pushed = tag;
    for (let at = first; at < first + WAYS; at += 1) {
      const previous = tags[at] as number;
      tags[at] = pushed;
      if (previous === tag) return;
      pushed = previous;
    }
  }

  /** Any part of what `has` and `add` read. */
  fetch(hash: number): number {
    return this.#tags.length === 0 ? 0 : (this.#tags[this.#firstOf(mix(hash))] as number);
  }

  has(hash: number): boolean {
    const tags = this.#tags;
    if (tags.length === 0) return false;
    const mixed = mix(hash);
    const first = this.#firstOf(mixed);
    const tag = tagOf(mixed);
    for (let at = first; at < first + WAYS; at += 1) if (tags[at] === tag) return true;
    return false;
  }

  #firstOf(mixed: number): number {
    return Math.floor((mixed / 2 ** 32) * this.#buckets) * WAYS;
  }
}

/** 32 bits; hashes of a sample begin all alike, and are to spread over all buckets nevertheless. */
function mix(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> 0;
}

/** Never 0, which is an empty place. */
function tagOf(mixed: number): number {
  const tag = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) >>> 16;
  return tag === 0 ? 1 : tag;
}

const ROWS = 4;
const WIDTH = 4_096;
const MASK = WIDTH - 1;

/**
 * How often each of any number of keys was seen lately, in 64 KB: a count-min sketch (Cormode, Muthukrishnan, "An Improved
 * Data Stream Summary", J. Algorithms 2005) of numbers that fade.
 *
 * A key owns a cell in each row and its count is the least of them, less what chance has put there: the others' share of
 * a cell (the correction of Deng and Rafiei's count-mean-min sketch). Without that, a few million reads a second spread
 * over as many keys would make every one of them look hot. Only the cells at the minimum grow (the conservative update).
 */
export class RateSketch {
  readonly #cells = new Float32Array(ROWS * WIDTH);
  #total = 0;

  /** Everything that was counted, faded. */
  get total(): number {
    return this.#total;
  }

  /** Counts `weight` more of the key. @param hash 30 bits. @returns its count then. */
  add(hash: number, weight: number): number {
    const cells = this.#cells;
    const mixed = mix(hash);
    const a = hash & MASK;
    const b = WIDTH + ((hash >>> 12) & MASK);
    const c = 2 * WIDTH + (mixed >>> 20);
    const d = 3 * WIDTH + ((mixed >>> 8) & MASK);
    this.#total += weight;
    const count = least(cells, a, b, c, d) + weight;
    if ((cells[a] as number) < count) cells[a] = count;
    if ((cells[b] as number) < count) cells[b] = count;
    if ((cells[c] as number) < count) cells[c] = count;
    if ((cells[d] as number) < count) cells[d] = count;
    return Math.max(0, count - this.#total / WIDTH);
  }

  count(hash: number): number {
    const mixed = mix(hash);
    const found = least(
      this.#cells,
      hash & MASK,
      WIDTH + ((hash >>> 12) & MASK),
      2 * WIDTH + (mixed >>> 20),
      3 * WIDTH + ((mixed >>> 8) & MASK),
    );
    return Math.max(0, found - this.#total / WIDTH);
  }

  /** Multiplies every count; 0 forgets all. */
  fade(factor: number): void {
    const cells = this.#cells;
    this.#total *= factor;
    if (factor === 0) cells.fill(0);
    else for (let at = 0; at < cells.length; at += 1) cells[at] = (cells[at] as number) * factor;
  }
}

function least(cells: Float32Array, a: number, b: number, c: number, d: number): number {
  return Math.min(cells[a] as number, cells[b] as number, cells[c] as number, cells[d] as number);
}

function mix(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return mixed ^ (mixed >>> 12);
}

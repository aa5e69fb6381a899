/** Decisions without a change before the shadows rest: shadows that hold the wrong things after a change need some turns to show. */
const CALM = 48;
/** The longest rest, in the time between two rests; the first is as long as that, each further one twice the one before. */
const MOST_REST = 256;
/** Rests are so much shorter the rarer the sample: where one key in 512 is told, telling costs next to nothing. */
const REST_AT_FULL_RATE = 512;
/** A hit ratio that has moved this much is another workload. */
const JUMP = 0.1;
/** Requests over which a hit ratio is taken while resting, at least, and per entry. */
const WATCHED = 2000;
const WATCHED_PER_ENTRY = 2;

/**
 * Tells when the shadows have to look. Simulating costs a small cache, which is sampled whole, several times what a hit costs;
 * so once a regime has stood for long, they rest most of the time, and wake when the hit ratio jumps.
 */
export class Attention {
  #calm = 0;
  #resting = 0;
  #hits = 0;
  #requests = 0;
  #usual = -1;

  get isResting(): boolean {
    return this.#resting > 0;
  }

  /** A decision fell, for which `requests` were seen, at this rate of the sample. */
  decided(hasChanged: boolean, requests: number, rate: number): void {
    this.#calm = hasChanged ? 0 : this.#calm + 1;
    if (this.#calm < CALM) return;
    this.#resting = requests * Math.min(2 ** (this.#calm - CALM), MOST_REST, REST_AT_FULL_RATE * rate);
    this.#hits = 0;
    this.#requests = 0;
    this.#usual = -1;
  }

  /** Requests while resting. @returns whether it is over. */
  passed(hits: number, requests: number, entries: number): boolean {
    this.#resting -= requests;
    this.#hits += hits;
    this.#requests += requests;
    if (this.#requests >= Math.max(WATCHED, WATCHED_PER_ENTRY * entries)) this.#watch();
    return this.#resting <= 0;
  }

  #watch(): void {
    const hitRatio = this.#hits / this.#requests;
    this.#hits = 0;
    this.#requests = 0;
    if (this.#usual === -1) this.#usual = hitRatio;
    if (Math.abs(hitRatio - this.#usual) <= JUMP) return;
    this.#resting = 0;
    this.#calm = 0;
  }
}

import type { Clock, Timer } from "../../clock.js";

/** The longest a Node timer can wait; a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1;

/** The one timer of a tier: it rings at the earliest of the times it was set to, and is set again after each ring. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #timer: Timer | undefined;
  #time = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at `time` on the clock, or earlier if it was going to; it may ring early, never late by itself. */
  atLatest(time: number, now: number): void {
    if (time >= this.#time) return;
    this.cancel();
    this.#time = time;
    // Rounded up: a timer of less than a millisecond would come too early and have to be started again.
    const wait = Math.min(LONGEST, Math.max(1, Math.ceil(time - now)));
    this.#timer = this.#clock.after(wait, () => {
      this.#timer = undefined;
      this.#time = Number.POSITIVE_INFINITY;
      this.#ring();
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#time = Number.POSITIVE_INFINITY;
  }
}

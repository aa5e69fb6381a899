import type { Clock } from "../clock.js";
import type { ResolvedHealth } from "./resolve-config.js";

/** The longest a server is out, as a multiple of its first time. */
const LONGEST = 8;

/**
 * Whether a server is well, by how its requests end and by what is asked of it on purpose.
 *
 * After `failures` in a row it is out for a while, then requests try it again: one more failure and it is out for twice as long.
 * Where a path is asked, it comes back with the first good answer.
 */
export class Health {
  readonly #options: ResolvedHealth;
  readonly #clock: Clock;
  #failures = 0;
  /** Times it was taken out in a row. */
  #times = 0;
  #until = 0;

  constructor(options: ResolvedHealth, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get isWell(): boolean {
    return this.#until <= this.#clock.now();
  }

  /** Failures since it last answered. */
  get failures(): number {
    return this.#failures;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#times = 0;
    this.#until = 0;
  }

  failed(): void {
    this.#failures += 1;
    // Requests that were under way when it was taken out say nothing new.
    if (!this.isWell || (this.#times === 0 && this.#failures < this.#options.failures)) return;
    this.#until = this.#clock.now() + this.#options.cooldown * Math.min(LONGEST, 2 ** this.#times);
    this.#times += 1;
  }
}

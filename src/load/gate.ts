import { CacheError } from "../errors.js";

/**
 * At most `concurrency` loads at once, so that a cold cache cannot melt its source; the rest wait in order, at most
 * `queue` of them. Past that a load is shed at once with `ERR_CACHE_OVERLOADED`: a source that is over
 * capacity recovers only if less is asked of it.
 */
export class LoadGate {
  readonly #concurrency: number;
  readonly #limit: number;
  readonly #queue = new Set<() => void>();
  #active = 0;

  constructor(concurrency: number, queue: number) {
    this.#concurrency = concurrency;
    this.#limit = queue;
  }

  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /**
   * The function that gives the place back, once the load may start.
   *
   * @param signal asked for only by a load that has to wait.
   * @throws CacheError `ERR_CACHE_OVERLOADED` when the queue is full; `signal().reason` when aborted meanwhile.
   */
  async enter(signal: () => AbortSignal): Promise<() => void> {
    if (this.#active < this.#concurrency) {
      this.#active += 1;
      return this.#leaver();
    }
    if (this.#queue.size >= this.#limit) {
      throw new CacheError(
        "ERR_CACHE_OVERLOADED",
        `${this.#active} loads are running and ${this.#queue.size} wait: this one is shed`,
      );
    }
    await this.#turn(signal());
    return this.#leaver();
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        signal.removeEventListener("abort", abandon);
        resolve();
      };
      const abandon = (): void => {
        this.#queue.delete(start);
        reject(signal.reason as Error);
      };
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      signal.addEventListener("abort", abandon, { once: true });
      this.#queue.add(start);
    });
  }

  /** The place goes straight to the next in line, so nobody who comes later can take it. */
  #leaver(): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const [next] = this.#queue;
      if (next === undefined) {
        this.#active -= 1;
        return;
      }
      this.#queue.delete(next);
      next();
    };
  }
}

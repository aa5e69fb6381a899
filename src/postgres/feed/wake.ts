import type { Clock } from "../../clock.js";

/** A pause that can be cut short. */
export class Wake {
  #end: (() => void) | undefined;
  #fired = false;

  /** Ends the pause under way, or makes the next one none. */
  readonly fire = (): void => {
    this.#fired = true;
    this.#end?.();
  };

  /** Resolves after a while, when fired, or when the signal is aborted. One at a time. */
  async pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#fired && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(ms, resolve);
        this.#end = () => {
          timer.cancel();
          resolve();
        };
        signal.addEventListener("abort", this.#end);
      });
      if (this.#end !== undefined) signal.removeEventListener("abort", this.#end);
      this.#end = undefined;
    }
    this.#fired = false;
  }
}

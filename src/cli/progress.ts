import type { Terminal } from "./terminal.js";

const WIDTH = 24;
/** Milliseconds between two drawings. */
export const DRAWN_EVERY = 100;

export interface ProgressOptions {
  /** The file's. */
  readonly bytes: number;
  readonly passes: number;
  readonly quiet: boolean;
  /** Milliseconds, from any start. @default Date.now */
  readonly now?: (() => number) | undefined;
}

/** A bar that shows how much of a file has been read, over one or more passes. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #bytes: number;
  readonly #passes: number;
  readonly #isShown: boolean;
  readonly #now: () => number;
  #pass = 0;
  #last = 0;
  #drawn = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal, options: ProgressOptions) {
    this.#terminal = terminal;
    this.#bytes = Math.max(1, options.bytes);
    this.#passes = options.passes;
    this.#isShown = !options.quiet;
    this.#now = options.now ?? Date.now;
  }

  /** Told the bytes read in this pass; fewer than before begin the next one. */
  readonly update = (bytesRead: number): void => {
    if (bytesRead < this.#last) this.#pass += 1;
    this.#last = bytesRead;
    const now = this.#now();
    if (!this.#isShown || now - this.#drawn < DRAWN_EVERY) return;
    this.#drawn = now;
    this.#terminal.status(progressBar(Math.min(1, (this.#pass + bytesRead / this.#bytes) / this.#passes)));
  };

  /** Takes the bar away. */
  end(): void {
    if (this.#isShown) this.#terminal.status("");
  }
}

/** `██████░░░░░░  50%` @param part from 0 to 1 */
export function progressBar(part: number): string {
  const filled = Math.round(part * WIDTH);
  return `${"█".repeat(filled)}${"░".repeat(WIDTH - filled)} ${String(Math.floor(part * 100)).padStart(3)}%`;
}

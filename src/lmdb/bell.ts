import { closeSync, openSync, watch, writeSync, type FSWatcher } from "node:fs";
import { join } from "node:path";

const STROKE = Uint8Array.of(33);

/** A small file that is written to when there is something to hear, and watched by whoever listens: one call of the kernel each way. */
export class Bell {
  readonly #path: string;
  readonly #file: number;
  #watcher: FSWatcher | undefined;

  constructor(folder: string) {
    this.#path = join(folder, "bell");
    this.#file = openSync(this.#path, "w");
  }

  ring(): void {
    try {
      writeSync(this.#file, STROKE, 0, 1, 0);
    } catch {
      // A full disk: the others look by themselves a little later.
    }
  }

  /** Calls `heard` when it rings, for whatever reason; perhaps never, where nothing can be watched. */
  listen(heard: () => void): void {
    try {
      this.#watcher ??= watch(this.#path, { persistent: false }, heard).on("error", () => this.silence());
    } catch {
      // The machine watches too many files already: looking now and then is enough.
    }
  }

  silence(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  close(): void {
    this.silence();
    closeSync(this.#file);
  }
}

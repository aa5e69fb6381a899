import type { TierName } from "./events.js";

/** How a read ended. */
export interface OperationAnswer {
  /** Whether a tier answered; false: the loader did, or nobody. */
  readonly hit: boolean;
  /** The tier that answered. */
  readonly tier: TierName | undefined;
  /** Past its freshness. */
  readonly stale: boolean;
  /** Bytes of the value, as this process estimates them; `undefined` where they are not known. */
  readonly bytes: number | undefined;
}

/** That of a read that no tier has answered, yet. */
export const NO_ANSWER: OperationAnswer = { hit: false, tier: undefined, stale: false, bytes: undefined };

/** An operation of a cache, as those who watch it are told. What memory answers at once is none: see the event `hit`. */
export interface Operation {
  /** `get`: a read; `load`: a run of a loader; `set`: a write, `writeThrough` included; `invalidate`. */
  readonly kind: "get" | "load" | "set" | "invalidate";
  /** The encoded key, of an operation on one. */
  readonly key: string | undefined;
  /** `""` for keys of no entity. */
  readonly entity: string;
  /** Keys, or marks of an invalidation. */
  readonly count: number;
  /** Of a read of one key, whole when it has ended; `undefined` of anything else: a read of many has several. */
  answer: OperationAnswer | undefined;
}

/**
 * Runs an operation, to know when it begins and ends or to put something around it: a span, a context. `run` may be called
 * once, and at once; what its caller gets does not pass through the watcher. One that throws, or is async and
 * rejects with an error of its own, is reported as `background-failed`.
 */
export type Watcher = (operation: Operation, run: () => Promise<unknown>) => void;

/** An operation on one key. */
export function operationOn(
  kind: "get" | "load",
  key: string,
  { counters }: { readonly counters: { readonly entity: string } },
): Operation {
  return { kind, key, entity: counters.entity, count: 1, answer: kind === "get" ? NO_ANSWER : undefined };
}

/** Who watches the operations of a cache. */
export class Watchers {
  readonly #failed: (error: unknown) => void;
  #all: readonly Watcher[] = [];

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Whether anybody watches: where nobody does, no operation is made. */
  get watching(): boolean {
    return this.#all.length > 0;
  }

  /** @returns takes it back. */
  add(watcher: Watcher): () => void {
    const added: Watcher = (operation, run) => watcher(operation, run);
    this.#all = [...this.#all, added];
    return () => {
      this.#all = this.#all.filter((one) => one !== added);
    };
  }

  run<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    return this.#around(this.#all, 0, operation, work);
  }

  #around<T>(all: readonly Watcher[], at: number, operation: Operation, work: () => Promise<T>): Promise<T> {
    const watcher = all[at];
    if (watcher === undefined) return begun(work);
    let running: Promise<T> | undefined;
    const run = (): Promise<T> => (running ??= this.#around(all, at + 1, operation, work));
    try {
      const watched: unknown = watcher(operation, run);
      // Of an async one, which nobody waits for.
      if (watched instanceof Promise) watched.catch((error: unknown) => this.#unlessOf(run(), error));
    } catch (error) {
      this.#failed(error);
    }
    return run();
  }

  /** Reports a watcher's error; that the operation failed is told to its caller alone. */
  async #unlessOf(operation: Promise<unknown>, error: unknown): Promise<void> {
    if ((await operation.catch((own: unknown) => own)) !== error) this.#failed(error);
  }
}

/** The work under way, failed when it could not even be begun. */
function begun<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(error);
  }
}

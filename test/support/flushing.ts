import { FakeClock, MemoryJournal, MemorySource } from "../../src/testing/index.js";
import type { CacheEvent } from "../../src/index.js";
import { Flusher } from "../../src/write/flusher.js";
import type { JournalLog, JournalOperation } from "../../src/write/journal.js";
import { encodeOperation, type Operation } from "../../src/write/operation.js";
import type { Sink } from "../../src/write/sink.js";

export const LOG = "test.rows";

/** What is changed to see that the proof notices. */
export interface Variant {
  /** How many batches the source remembers. */
  readonly remembered?: number | undefined;
  readonly log?: ((log: JournalLog) => JournalLog) | undefined;
  readonly sink?: ((sink: Sink) => Sink) | undefined;
}

/** A journal and a source, and the processes that flush the one into the other. */
export class Flushing {
  readonly clock: FakeClock = new FakeClock();
  readonly journal: MemoryJournal = new MemoryJournal({ clock: this.clock });
  readonly source: MemorySource;
  readonly #variant: Variant;
  #ids = 0;

  constructor(variant: Variant = {}) {
    this.#variant = variant;
    this.source = new MemorySource({ remembered: variant.remembered });
  }

  async append(...operations: readonly JournalOperation[]): Promise<void> {
    await this.journal.journal().open(LOG).append(operations, 1_000);
  }

  process(maxBatch = 2): Process {
    const process = new Process();
    const log = this.journal.journal(() => process.step(false)).open(LOG);
    const sink = this.source.sink(() => process.step(true));
    process.flusher = new Flusher({
      log: this.#variant.log?.(log) ?? log,
      sink: this.#variant.sink?.(sink) ?? sink,
      clock: this.clock,
      settings: {
        name: LOG,
        flushEvery: 1_000,
        maxBatch,
        maxBatchBytes: 1 << 20,
        timeout: 1_000,
        sinkTimeout: 1_000,
      },
      // Nobody to ask: what is proven is proven without the lock.
      lock: () => Promise.reject(new Error("There is no lock")),
      newId: () => `${(this.#ids += 1)}`,
      emit: (event) => process.events.push(event),
      onCorrected: () => Promise.resolve(),
    });
    return process;
  }

  /** Lets another process flush what is left. */
  async finish(): Promise<void> {
    const last = this.process();
    last.begin();
    await last.advance(10_000);
  }

  /** What is wrong with the operations, which must be applied once each and in order; nothing, if all is well. */
  wrongs(operations: readonly JournalOperation[]): readonly string[] {
    const { pending } = this.journal.opIds(LOG);
    const wrongs = pending.map((opId) => `${opId} is pending`);
    for (const { opId, key } of operations) {
      const times = this.source.row(key)?.applied.get(opId) ?? 0;
      if (times !== 1) wrongs.push(`${opId} was applied ${times} times`);
    }
    return wrongs;
  }
}

/** One process, which goes on step by step and can be killed between any two. */
export class Process {
  readonly events: CacheEvent[] = [];
  flusher!: Flusher;
  /** Steps it has taken. */
  steps = 0;
  #allowed = 0;
  #dead = false;
  #waiting: { readonly inTransaction: boolean; resume(): void; fail(error: Error): void } | undefined;

  /** Begins to flush; it stands before its first step. */
  begin(): void {
    this.flusher.flush().catch(() => undefined);
  }

  /** Lets it take so many steps more, or as many as it has. */
  async advance(steps: number): Promise<void> {
    this.#allowed = this.steps + steps;
    if (this.#waiting !== undefined && steps > 0) this.#resume();
    // All it does are promises, which come to rest in one turn.
    await new Promise((resolve) => void setImmediate(resolve));
  }

  /** SIGKILL: it takes no step more, and the source undoes the transaction it is in. */
  async kill(): Promise<void> {
    this.#dead = true;
    const waiting = this.#waiting;
    if (waiting?.inTransaction === true) waiting.fail(new Error("The connection was lost"));
    await new Promise((resolve) => void setImmediate(resolve));
  }

  step(inTransaction: boolean): Promise<void> {
    if (this.#dead)
      return inTransaction ? Promise.reject(new Error("The connection was lost")) : new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      this.#waiting = { inTransaction, resume: resolve, fail: reject };
      if (this.steps < this.#allowed) this.#resume();
    });
  }

  #resume(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.steps += 1;
    waiting?.resume();
  }
}

/** An operation as a cache would append it. */
export function operation(opId: string, key: string, what: Partial<Operation> & { by?: number }): JournalOperation {
  const { by = 0, kind = "add", base, value } = what;
  const body = encodeOperation({ kind, id: key, base, value });
  return { opId, key, whole: kind === "put" || kind === "delete", by, body };
}

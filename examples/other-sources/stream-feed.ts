import type { ChangeFeed, ChangeSink, ChangeTarget, OpenFeed } from "tiercache";

/** A committed change, in the order of commits. */
export interface Change {
  /** Where to go on after it. */
  readonly position: string;
  readonly targets: readonly ChangeTarget[];
  /** Of a mark that came back: what `mark` was called with. */
  readonly mark?: string | undefined;
}

/** What a source must be able to do. */
export interface ChangeStream {
  /** Changes after a position, or from now on, until the signal is aborted. @throws PositionLost when it does not reach back so far. */
  changes(after: string | undefined, signal: AbortSignal): AsyncIterable<Change>;
  /** Commits a row of ours: when it comes back, everything that was committed before it has come. */
  mark(id: string): Promise<void>;
  /** Resolves when readers of the source see the change at that position. */
  visible(position: string): Promise<void>;
}

export class PositionLost extends Error {}

/** A change feed on any source that tells its changes in order. Each process reads for itself; telling twice is harmless. */
export function streamFeed(kind: string, stream: ChangeStream, maxStaleness: number = 5_000): ChangeFeed {
  return { kind, maxStaleness, open: (sink) => new Reader(kind, stream, maxStaleness, sink) };
}

class Reader implements OpenFeed {
  readonly #kind: string;
  readonly #stream: ChangeStream;
  readonly #sink: ChangeSink;
  readonly #closing = new AbortController();
  readonly #running: Promise<unknown>;
  /** When each mark was sent. */
  readonly #marks = new Map<string, number>();
  #owesForget = false;
  #changes = 0;

  constructor(kind: string, stream: ChangeStream, maxStaleness: number, sink: ChangeSink) {
    this.#kind = kind;
    this.#stream = stream;
    this.#sink = sink;
    this.#running = Promise.all([this.#read(), this.#mark(maxStaleness / 5)]);
  }

  stats(): Readonly<Record<string, number>> {
    return { changes: this.#changes };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #read(): Promise<void> {
    const { signal } = this.#closing;
    let lost = false;
    while (!signal.aborted) {
      try {
        // Everything up to the note is published, by whoever wrote it. Without one, changes may have passed unseen.
        const after = lost ? undefined : await this.#sink.readNote(this.#kind);
        this.#owesForget ||= after === undefined;
        lost = false;
        this.#sink.tell({ what: "connected" });
        for await (const change of this.#stream.changes(after, signal)) await this.#apply(change);
      } catch (error) {
        // What was not published is read again: the note has not moved.
        lost = error instanceof PositionLost;
        this.#sink.tell({ what: "disconnected", error });
      }
      await this.#pause(100);
    }
  }

  async #apply({ position, targets, mark }: Change): Promise<void> {
    this.#changes += 1;
    // Published earlier, a load that begins in between would store the old row after its only invalidation.
    await this.#stream.visible(position);
    if (targets.length > 0) await this.#sink.publish(targets);
    const sentAt = mark === undefined ? undefined : this.#marks.get(mark);
    if (mark === undefined || sentAt === undefined) return;
    // The mark came through the stream, so whatever came by before the stream stood is visible by now.
    if (this.#owesForget) await this.#sink.forget();
    this.#owesForget = false;
    this.#sink.complete(sentAt);
    this.#marks.delete(mark);
    await this.#sink.writeNote(this.#kind, position);
  }

  async #mark(every: number): Promise<void> {
    for (let count = 1; !this.#closing.signal.aborted; count += 1) {
      const id = `${crypto.randomUUID()}.${count}`;
      this.#marks.set(id, this.#sink.clock.now());
      const oldest = this.#marks.keys().next();
      if (this.#marks.size > 20 && oldest.done !== true) this.#marks.delete(oldest.value);
      await this.#stream.mark(id).catch((error: unknown) => this.#sink.tell({ what: "mark-failed", error }));
      await this.#pause(every);
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const timer = this.#sink.clock.after(ms, resolve);
      const end = (): void => {
        timer.cancel();
        resolve();
      };
      if (signal.aborted) end();
      else signal.addEventListener("abort", end, { once: true });
    });
  }
}

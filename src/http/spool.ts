import { deferred } from "./deferred.js";

/*
 * A body under way: read once from its source, given to any number of readers.
 *
 * For implementers:
 * - Up to `limit` bytes all of it is kept, whether anybody reads or not: it is to be stored, and whoever joins gets it from
 *   its first byte. Memory is bounded by the limit.
 * - Past the limit it is not stored any more, and nobody can join. The source is then read at the pace of the fastest reader; one
 *   that falls behind it by more than the limit is cut. So a client that stops reading holds up nobody but itself.
 * - When every reader has gone, the source is cancelled: nobody pays for a body that nobody wants. One that nobody has begun to
 *   read waits at the limit: whoever holds the spool opens it or discards it.
 */

/** Where a reader stands. */
interface Reader {
  /** Index of its next chunk, counted from the body's first. */
  next: number;
  /** Bytes it has been given. */
  taken: number;
  wake: (() => void) | undefined;
}

type End = { readonly kind: "done" } | { readonly kind: "failed"; readonly error: unknown };

export class Spool {
  readonly #limit: number;
  readonly #source: ReadableStreamDefaultReader<Uint8Array>;
  /** What some reader has yet to get; all of it while the body may be stored. */
  readonly #chunks: Uint8Array[] = [];
  readonly #readers = new Set<Reader>();
  /** Chunks dropped from the beginning. */
  #dropped = 0;
  #size = 0;
  #isOver = false;
  /** Somebody has begun to read. */
  #isWanted = false;
  #end: End | undefined;
  #resume: (() => void) | undefined;
  readonly #whole = deferred<Uint8Array | undefined>();

  /** @param limit most bytes that are kept. */
  constructor(source: ReadableStream<Uint8Array>, limit: number) {
    this.#limit = limit;
    this.#source = source.getReader();
    // `#pump` does not reject: what fails is told to the readers.
    void this.#pump();
  }

  /** All of it, once it has come; `undefined` when it was too long, was cut short or nobody wanted it. */
  get whole(): Promise<Uint8Array | undefined> {
    return this.#whole.promise;
  }

  /** Whether a reader who comes now gets it from its first byte. */
  get isJoinable(): boolean {
    return (!this.#isOver || !this.#isWanted) && this.#end?.kind !== "failed";
  }

  /** All of it has come. */
  get isDone(): boolean {
    return this.#end?.kind === "done";
  }

  /** The body from its first byte. Only while it is joinable. */
  open(signal?: AbortSignal): ReadableStream<Uint8Array> {
    const reader: Reader = { next: 0, taken: 0, wake: undefined };
    this.#readers.add(reader);
    this.#isWanted = true;
    let abort = (): void => undefined;
    const end = (): void => signal?.removeEventListener("abort", abort);
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          abort = () => {
            controller.error(signal?.reason);
            this.#leave(reader);
          };
          if (signal?.aborted === true) abort();
          else signal?.addEventListener("abort", abort, { once: true });
        },
        pull: async (controller) => {
          const chunk = await this.#read(reader);
          if (signal?.aborted === true) return;
          if (chunk !== undefined) return controller.enqueue(chunk);
          this.#readers.delete(reader);
          end();
          controller.close();
        },
        cancel: () => {
          end();
          this.#leave(reader);
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Ends it unless somebody reads: its answer is not needed. */
  discard(): void {
    if (this.#readers.size === 0) this.#fail(new Error("Nobody wants the body"));
  }

  /** Ends it unless somebody reads, or all of it comes and is kept. */
  discardUnkept(): void {
    void this.whole.then((bytes) => {
      if (bytes === undefined) this.discard();
    });
  }

  /** Goes on for those who read, and is not kept for others. */
  release(): void {
    if (this.#end !== undefined) return;
    this.#isOver = true;
    this.#whole.resolve(undefined);
  }

  async #pump(): Promise<void> {
    try {
      for (;;) {
        if (this.#isOver) await this.#demand();
        if (this.#end !== undefined) return;
        const { done, value } = await this.#source.read();
        if (this.#end !== undefined) return;
        if (done) return this.#finish();
        this.#add(value);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #add(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (!this.#isOver && this.#size > this.#limit) {
      this.#isOver = true;
      this.#whole.resolve(undefined);
    }
    if (this.#isOver) this.#cutLaggards();
    this.#wakeAll();
  }

  #finish(): void {
    this.#end = { kind: "done" };
    if (!this.#isOver) this.#whole.resolve(joined(this.#chunks, this.#size));
    this.#wakeAll();
  }

  #fail(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { kind: "failed", error };
    this.#whole.resolve(undefined);
    // A source that cannot even be cancelled has nothing more to say to anybody.
    this.#source.cancel(error).catch(() => undefined);
    this.#wakeAll();
    this.#resume?.();
  }

  /** The reader's next chunk; `undefined` at the end. */
  async #read(reader: Reader): Promise<Uint8Array | undefined> {
    for (;;) {
      if (!this.#readers.has(reader)) throw new Error("The body was read too slowly");
      const chunk = this.#chunks[reader.next - this.#dropped];
      if (chunk !== undefined) {
        reader.next += 1;
        reader.taken += chunk.length;
        if (this.#isOver) this.#dropTaken();
        return chunk;
      }
      if (this.#end?.kind === "failed") throw this.#end.error;
      if (this.#end !== undefined) return undefined;
      this.#resume?.();
      await new Promise<void>((resolve) => {
        reader.wake = resolve;
      });
    }
  }

  /** Past the limit: until some reader has taken all there is. */
  async #demand(): Promise<void> {
    while (this.#end === undefined && !this.#isDrained()) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
      });
      this.#resume = undefined;
    }
  }

  #isDrained(): boolean {
    for (const { next, wake } of this.#readers) {
      if (next === this.#dropped + this.#chunks.length && wake !== undefined) return true;
    }
    return false;
  }

  #cutLaggards(): void {
    if (this.#readers.size < 2) return;
    for (const reader of this.#readers) {
      if (this.#size - reader.taken <= this.#limit * 2) continue;
      this.#readers.delete(reader);
      reader.wake?.();
    }
    this.#dropTaken();
  }

  #dropTaken(): void {
    const least = Math.min(...Array.from(this.#readers, ({ next }) => next));
    if (least === Number.POSITIVE_INFINITY || least <= this.#dropped) return;
    this.#chunks.splice(0, least - this.#dropped);
    this.#dropped = least;
  }

  #leave(reader: Reader): void {
    this.#readers.delete(reader);
    reader.wake?.();
    if (this.#readers.size === 0) this.#fail(new Error("Nobody reads the body any more"));
    else if (this.#isOver) {
      this.#dropTaken();
      this.#resume?.();
    }
  }

  #wakeAll(): void {
    for (const reader of this.#readers) {
      const { wake } = reader;
      reader.wake = undefined;
      wake?.();
    }
  }
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

import type { RequestBatch } from "./trace/request-batch.js";

/** What a completed batch has where the trace tells nothing. */
const UNTOLD_SIZE = 1;
const UNTOLD_TIME = 0;

/** A trace kept whole, for what must know the future, from completed batches: 4 bytes a request, and more only for what the trace tells. */
export class Recording {
  #length = 0;
  #ids: Int32Array = new Int32Array(4096);
  #operations: Uint8Array | undefined;
  #weights: Float64Array | undefined;
  #times: Float64Array | undefined;
  #ttls: Float64Array | undefined;

  get length(): number {
    return this.#length;
  }

  id(at: number): number {
    return this.#ids[at] as number;
  }

  operation(at: number): number {
    return this.#operations?.[at] ?? 0;
  }

  /** Bytes. */
  size(at: number): number {
    return this.#weights?.[at] ?? UNTOLD_SIZE;
  }

  time(at: number): number {
    return this.#times?.[at] ?? UNTOLD_TIME;
  }

  /** Infinity for none. */
  ttl(at: number): number {
    return this.#ttls?.[at] ?? Number.POSITIVE_INFINITY;
  }

  add(batch: RequestBatch): void {
    const from = this.#length;
    const room = this.#ids.length;
    const end = from + batch.length;
    if (end > room) this.#grow(Math.max(2 * room, end));
    const { length } = batch;
    this.#ids.set(batch.ids.subarray(0, length), from);
    this.#operations = this.#column(this.#operations, Uint8Array, batch.operations, 0, length);
    this.#weights = this.#column(this.#weights, Float64Array, batch.sizes, UNTOLD_SIZE, length);
    this.#times = this.#column(this.#times, Float64Array, batch.times, UNTOLD_TIME, length);
    this.#ttls = this.#column(this.#ttls, Float64Array, batch.ttls, Number.POSITIVE_INFINITY, length);
    this.#length = end;
  }

  /** A column comes to be with the first value that is not what all had so far. */
  #column<T extends Uint8Array | Float64Array>(
    column: T | undefined,
    type: new (length: number) => T,
    values: T,
    usual: number,
    count: number,
  ): T | undefined {
    const added = values.subarray(0, count) as T;
    if (column === undefined && added.every((value: number) => Object.is(value, usual))) return undefined;
    const kept = column ?? new type(this.#ids.length);
    if (column === undefined) kept.fill(usual);
    kept.set(added, this.#length);
    return kept;
  }

  #grow(room: number): void {
    const ids = new Int32Array(room);
    ids.set(this.#ids);
    this.#ids = ids;
    const grown = (column: Float64Array | undefined, usual: number): Float64Array | undefined => {
      if (column === undefined) return undefined;
      const larger = new Float64Array(room).fill(usual);
      larger.set(column);
      return larger;
    };
    this.#weights = grown(this.#weights, UNTOLD_SIZE);
    this.#times = grown(this.#times, UNTOLD_TIME);
    this.#ttls = grown(this.#ttls, Number.POSITIVE_INFINITY);
    if (this.#operations !== undefined) {
      const operations = new Uint8Array(room);
      operations.set(this.#operations);
      this.#operations = operations;
    }
  }
}

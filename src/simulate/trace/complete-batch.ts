import { CacheError } from "../../errors.js";
import type { RequestBatch } from "./request-batch.js";

/** What stands in for what a trace does not tell. */
export interface Missing {
  /** Bytes of an entry; `undefined` when there is no saying. */
  readonly entrySize?: number | undefined;
  /** Milliseconds to live, of requests that name none; `undefined` for ever. */
  readonly ttl?: number | undefined;
  /** Requests a second; `undefined` when there is no saying. */
  readonly rate?: number | undefined;
  /** Whether sizes are needed. */
  readonly needsSizes: boolean;
}

/** Fills in, batch by batch, what a trace does not tell, and keeps its time from going back. */
export class Completion {
  readonly #missing: Missing;
  #now = 0;
  #count = 0;
  #first = Number.NaN;

  constructor(missing: Missing) {
    this.#missing = missing;
  }

  /** Milliseconds from the first request to the last; 0 when the trace has no times. */
  get span(): number {
    return Number.isNaN(this.#first) ? 0 : this.#now - this.#first;
  }

  /**
   * Afterwards sizes are integers of 1 or more and times are numbers, of use or not.
   *
   * @throws CacheError `ERR_CACHE_OPTION` when something is needed that neither the trace nor an option tells.
   */
  complete(batch: RequestBatch): void {
    const { entrySize, ttl, rate, needsSizes } = this.#missing;
    const { sizes, times, ttls } = batch;
    for (let i = 0; i < batch.length; i += 1) {
      const size = sizes[i] as number;
      if (Number.isNaN(size)) {
        if (needsSizes && entrySize === undefined) throw untold("entrySize", "the trace tells no sizes");
        sizes[i] = entrySize ?? 1;
      } else {
        sizes[i] = Math.max(1, Math.ceil(size));
      }
      if (ttl !== undefined && ttls[i] === Number.POSITIVE_INFINITY) ttls[i] = ttl;
      times[i] = this.#timeOf(times[i] as number, rate, ttls[i] !== Number.POSITIVE_INFINITY);
    }
  }

  #timeOf(told: number, rate: number | undefined, isNeeded: boolean): number {
    if (!Number.isNaN(told)) {
      if (Number.isNaN(this.#first)) this.#first = told;
      this.#now = Math.max(this.#now, told);
    } else if (rate !== undefined) {
      this.#count += 1;
      this.#now = (this.#count * 1000) / rate;
    } else if (isNeeded && Number.isNaN(this.#first)) {
      throw untold("rate", "entries have a time to live and the trace tells no times");
    }
    return this.#now;
  }
}

function untold(option: string, why: string): CacheError {
  return new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to be given, because ${why}`);
}

import { CacheError } from "../errors.js";
import { optionError } from "../policy.js";
import { keyOf } from "./behind.js";
import { Lane, type DeadLetters, type LaneHome, type WriteBehindStats } from "./behind-lane.js";
import { resolveCounter, type CounterOptions } from "./behind-options.js";
import type { CounterSink, RowId } from "./sink.js";

/** Options of one increment. */
export interface IncrementOptions {
  /** Names this increment: one that is tried again under its name, within minutes, counts once. @default a random one */
  opId?: string | undefined;
}

/** Counts that are incremented in a journal and added to their source together, each increment once. */
export interface Counter<Id extends RowId> extends AsyncDisposable {
  readonly name: string;
  /**
   * Adds to a count; resolves when the journal has it.
   *
   * @param by a whole number from 1 to 1e12; of a `signed` counter from -1e12 as well, but not 0. 1 if not given
   * @returns the increment's `opId`
   */
  increment(id: Id, by?: number, options?: IncrementOptions): Promise<string>;
  /** The stored count and what is pending, each increment once. @throws CacheError `ERR_CACHE_VALUE` beyond safe integers */
  get(id: Id): Promise<number>;
  /** Applies all increments acknowledged before, to whomever. @throws what the source throws */
  flush(): Promise<void>;
  /** As the journal has it now. */
  stats(): Promise<WriteBehindStats>;
  readonly deadLetters: DeadLetters;
  /** Flushes if that goes in time, and gives everything back; what is left waits in the journal. Twice is once. */
  close(): Promise<void>;
}

/** The most that one increment adds: a journal's sums, of up to millions of them, stay within 64 bits. */
const MOST = 1_000_000_000_000;
/** Readings of the journal and the source until they are of one moment. */
const MAX_READS = 100;

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function openCounter<Id extends RowId>(home: LaneHome, name: string, options: CounterOptions): Counter<Id> {
  const settings = resolveCounter(name, options);
  const lane = new Lane(home, settings, options.sink);
  return new JournalCounter(lane, options.sink, settings.signed);
}

class JournalCounter<Id extends RowId> implements Counter<Id> {
  readonly name: string;
  readonly deadLetters: DeadLetters;
  readonly #lane: Lane;
  readonly #sink: CounterSink;
  readonly #signed: boolean;

  constructor(lane: Lane, sink: CounterSink, signed: boolean) {
    this.name = lane.name;
    this.deadLetters = lane.letters;
    this.#lane = lane;
    this.#sink = sink;
    this.#signed = signed;
  }

  async increment(id: Id, by = 1, options: IncrementOptions = {}): Promise<string> {
    if (!Number.isSafeInteger(by) || by === 0 || Math.abs(by) > MOST || (by < 0 && !this.#signed)) {
      throw optionError("by", `a whole number from ${this.#signed ? `-${MOST}, but not 0,` : 1} to ${MOST}`, by);
    }
    const operation = { kind: "add", id, base: undefined, value: undefined } as const;
    return this.#lane.append(keyOf(id), by, operation, options.opId);
  }

  /**
   * The source is asked after the journal, so it may have applied more by then: the batch it names tells. The one that
   * was settled last: nothing of what is pending is in the count. The sealed one: all that is sealed is. Another: the log
   * was flushed between the two, and both are asked again.
   */
  async get(id: Id): Promise<number> {
    for (let reads = 1; ; reads++) {
      const { own, sealed, settled } = await this.#lane.pending(keyOf(id));
      const { count, batchId } = await this.#sink.read(this.name, id);
      const isInCount = batchId !== undefined && batchId === sealed;
      // When neither fits for long, one of the two went back in time, and the next flush mends it.
      if (isInCount || batchId === settled || reads === MAX_READS) {
        return safe(count + own.sum - (isInCount ? own.sealedSum : 0), this.name);
      }
    }
  }

  flush(): Promise<void> {
    return this.#lane.flush();
  }

  stats(): Promise<WriteBehindStats> {
    return this.#lane.look();
  }

  close(): Promise<void> {
    return this.#lane.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function safe(count: number, name: string): number {
  if (Number.isSafeInteger(count)) return count;
  throw new CacheError("ERR_CACHE_VALUE", `Expected a count of ${name} to be a safe integer, got \`${count}\``);
}

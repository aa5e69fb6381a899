import type { Held } from "../entries/held.js";
import type { MissReason, TierName } from "../events.js";
import type { Judged } from "../invalidation/marks.js";
import type { PendingOperation } from "../invalidation/pending.js";
import { Demand } from "./gate.js";

/** What those who wait for a load get. */
export interface Outcome {
  readonly value: unknown;
  /** Readers must get a copy. */
  readonly mutable: boolean;
  readonly from: TierName | "load";
  /** Past its freshness: served under SWR, on error or on a timeout. */
  readonly stale: boolean;
  /** The loader's own object, which is stored nowhere. */
  readonly raw: boolean;
  /** What invalidations are compared with, for those who join late. */
  readonly entry: Judged;
  /** Of a loaded value that can be stored; of a tier's the entry tells. */
  readonly bytes?: number | undefined;
}

/**
 * One load of one key in this process, and everybody who waits for it.
 *
 * It is entered into the registry before anything is awaited, so overlapping callers always find it. Its `answer`
 * may come before its end: a stale value is handed out while the refresh goes on.
 */
export class Flight {
  readonly key: string;
  readonly answer: Promise<Outcome>;
  readonly pending: PendingOperation;
  readonly demand: Demand = new Demand();
  /** Begun for nobody in particular: its failures are reported, not thrown. */
  readonly background: boolean;
  /** The version of the marks when it began. */
  readonly version: number;
  /** The how-manieth of the cache; told when it is begun. */
  number = 0;
  /** When that was, on the monotonic clock. */
  readonly startedAt: number;
  /** Why memory had nothing. */
  reason: MissReason;
  /** The best value there is to serve if this goes wrong. */
  stale: Held | undefined;
  answered = false;
  /** It took longer than its hard timeout: a failure, while giving it up is none. */
  timedOut = false;
  #controller: AbortController | undefined;
  #aborted: { readonly reason: unknown } | undefined;
  #whenAborted: ((reason: unknown) => void) | undefined;
  #waiting = 0;
  #joined: boolean;
  #adopted: boolean;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #reject: (error: unknown) => void;
  readonly #whenAbandoned: (flight: Flight) => void;

  constructor(init: {
    key: string;
    pending: PendingOperation;
    background: boolean;
    stale: Held | undefined;
    reason: MissReason;
    version: number;
    startedAt: number;
    whenAbandoned: (flight: Flight) => void;
  }) {
    this.key = init.key;
    this.pending = init.pending;
    this.background = init.background;
    this.stale = init.stale;
    this.reason = init.reason;
    this.version = init.version;
    this.startedAt = init.startedAt;
    this.#joined = init.background;
    this.#adopted = init.background;
    this.#whenAbandoned = init.whenAbandoned;
    let resolve!: (outcome: Outcome) => void;
    let reject!: (error: unknown) => void;
    this.answer = new Promise<Outcome>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    this.#resolve = resolve;
    this.#reject = reject;
    // Waiters get the rejection through promises of their own; a background flight has none.
    this.answer.catch(() => undefined);
  }

  /** Made on first use: most loaders never look at it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  get aborted(): boolean {
    return this.#aborted !== undefined;
  }

  /** Nobody wants its value any more: what comes of it says nothing of the source. */
  get givenUp(): boolean {
    return this.aborted && !this.timedOut;
  }

  /** @throws the reason it was aborted for. */
  throwIfAborted(): void {
    if (this.#aborted !== undefined) throw this.#aborted.reason;
  }

  /** Whether somebody waits already: the next to join shares the load. */
  get joined(): boolean {
    return this.#joined;
  }

  abort(reason: unknown): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = { reason };
    this.#controller?.abort(reason);
    this.#whenAborted?.(reason);
  }

  /** Tells the one who runs the loader; at once when it is aborted already. */
  whenAborted(listener: (reason: unknown) => void): void {
    if (this.#aborted === undefined) this.#whenAborted = listener;
    else listener(this.#aborted.reason);
  }

  /** From now on it goes on even if nobody waits. */
  adopt(): void {
    this.#adopted = true;
  }

  resolve(outcome: Outcome): void {
    this.answered = true;
    this.#resolve(outcome);
  }

  reject(error: unknown): void {
    this.answered = true;
    this.#reject(error);
  }

  /** A caller begins to wait; the returned function says that it has stopped. */
  join(): () => void {
    this.#waiting += 1;
    this.#joined = true;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.answered && !this.#adopted) this.#whenAbandoned(this);
    };
  }
}

/** The flights under way: at most one per key that new callers may join. */
export class Flights {
  /** How many were ever begun. */
  begun = 0;
  readonly #byKey = new Map<string, Flight>();
  readonly #running = new Map<Flight, Promise<void>>();

  /** Those that run, joinable or not. */
  get size(): number {
    return this.#running.size;
  }

  get(key: string): Flight | undefined {
    return this.#byKey.get(key);
  }

  /** Enters the flight and runs it; `run` never rejects. */
  start(flight: Flight, run: () => Promise<void>): void {
    this.begun += 1;
    flight.number = this.begun;
    this.#byKey.set(flight.key, flight);
    const running = run().finally(() => {
      this.#running.delete(flight);
      this.leave(flight);
      flight.pending.end();
    });
    this.#running.set(flight, running);
  }

  /** New callers no longer join it; those who wait still get its answer. */
  leave(flight: Flight): void {
    if (this.#byKey.get(flight.key) === flight) this.#byKey.delete(flight.key);
  }

  /** Whoever reads the key from now on starts anew. */
  detach(key: string): void {
    this.#byKey.delete(key);
  }

  detachAll(): void {
    this.#byKey.clear();
  }

  abortAll(reason: unknown): void {
    for (const flight of [...this.#running.keys()]) flight.abort(reason);
  }

  /** Resolves when every flight of now has ended. */
  async ended(): Promise<void> {
    await Promise.allSettled([...this.#running.values()]);
  }
}

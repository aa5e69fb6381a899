import { AsyncLocalStorage } from "node:async_hooks";

import { CacheError } from "../errors.js";

/** A load that waits its turn. */
interface Queued {
  readonly start: (place: Place) => void;
  /** The places whose loads wait for this one. */
  readonly wantedBy: Set<Place>;
}

/** What is known of a load at the gate: who waits for it, and where it stands. One per flight. */
export class Demand {
  /** Places whose loads wait for this load; hardly any load has one. */
  places: Set<Place> | undefined;
  /** Its turn, while it waits for one. */
  queued: Queued | undefined;
}

/** The right of one load to run. */
export class Place {
  /** A load that this one waits for runs in its stead. */
  lent = false;
  ended = false;
  /** Queued loads that this place's load waits for; hardly any load has one. */
  wanted: Set<Queued> | undefined;
  readonly #leave: (place: Place) => void;
  readonly #run: <T>(place: Place, load: () => T) => T;

  constructor(leave: (place: Place) => void, run: <T>(place: Place, load: () => T) => T) {
    this.#leave = leave;
    this.#run = run;
  }

  /** Runs the load so that loads begun inside it are known to be. */
  run<T>(load: () => T): T {
    return this.#run(this, load);
  }

  /** Gives the place back; twice is once. */
  leave(): void {
    if (this.ended) return;
    this.ended = true;
    this.#leave(this);
  }
}

/**
 * At most `concurrency` loads at once, so that a cold cache cannot melt its source; the rest wait in order, at most
 * `queue` of them. Past that a load is shed at once with `ERR_CACHE_OVERLOADED`: a source that is over
 * capacity recovers only if less is asked of it.
 *
 * For implementers, about loads inside loads (a list's loader that reads its items through the cache): a place whose
 * load waits for another load does no work meanwhile, so it lends itself to that one, one at a time. Otherwise
 * `concurrency` lists would hold every place and wait for items that never get one. A queued load is known to be
 * waited for whether it was begun inside (`AsyncLocalStorage`) or joined from inside (`Demand`). Knowing it makes every
 * promise of the process a little slower, so it is switched on only while at least half the places are taken: those
 * taken before that cannot be all of them, and the others always get through.
 */
export class LoadGate {
  readonly #concurrency: number;
  readonly #limit: number;
  readonly #queue = new Set<Queued>();
  #inside: AsyncLocalStorage<Place> | undefined;
  #active = 0;

  constructor(concurrency: number, queue: number) {
    this.#concurrency = concurrency;
    this.#limit = queue;
  }

  /** Places taken; lent ones count once. */
  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** The place of the load that the caller runs in, as far as it is known. */
  get current(): Place | undefined {
    const place = this.#inside?.getStore();
    return place?.ended === false ? place : undefined;
  }

  /**
   * A place, once the load may start.
   *
   * @param signal asked for only by a load that has to wait.
   * @throws CacheError `ERR_CACHE_OVERLOADED` when the queue is full; `signal().reason` when aborted meanwhile.
   */
  async enter(signal: () => AbortSignal, demands: readonly Demand[] = []): Promise<Place> {
    if (this.#active < this.#concurrency) {
      this.#active += 1;
      return this.#own();
    }
    const parents = new Set(demands.flatMap((demand) => [...(demand.places ?? [])]));
    const { current } = this;
    if (current !== undefined) parents.add(current);
    for (const parent of parents) if (!parent.ended && !parent.lent) return this.#lend(parent);
    if (this.#queue.size >= this.#limit) {
      throw new CacheError(
        "ERR_CACHE_OVERLOADED",
        `${this.#active} loads are running and ${this.#queue.size} wait: this one is shed`,
      );
    }
    return this.#turn(signal(), parents, demands);
  }

  /** The caller, if it is a load, waits for the load of this demand. */
  want(demand: Demand): void {
    const { current } = this;
    if (current === undefined) return;
    (demand.places ??= new Set()).add(current);
    const { queued } = demand;
    if (queued === undefined || !this.#queue.has(queued)) return;
    if (current.lent) {
      queued.wantedBy.add(current);
      (current.wanted ??= new Set()).add(queued);
    } else {
      this.#start(queued, this.#lend(current));
    }
  }

  #turn(signal: AbortSignal, parents: Set<Place>, demands: readonly Demand[]): Promise<Place> {
    return new Promise((resolve, reject) => {
      const abandon = (): void => {
        this.#drop(queued);
        reject(signal.reason as Error);
      };
      const queued: Queued = {
        wantedBy: parents,
        start: (place) => {
          signal.removeEventListener("abort", abandon);
          for (const demand of demands) demand.queued = undefined;
          resolve(place);
        },
      };
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      signal.addEventListener("abort", abandon, { once: true });
      this.#queue.add(queued);
      for (const parent of parents) (parent.wanted ??= new Set()).add(queued);
      for (const demand of demands) demand.queued = queued;
    });
  }

  #start(queued: Queued, place: Place): void {
    this.#drop(queued);
    queued.start(place);
  }

  #drop(queued: Queued): void {
    this.#queue.delete(queued);
    for (const parent of queued.wantedBy) parent.wanted?.delete(queued);
  }

  /** A place of its own, which goes straight to the next in line: nobody who comes later can take it. */
  #own(): Place {
    return new Place((place) => {
      this.#end(place);
      const [next] = this.#queue;
      if (next !== undefined) {
        this.#start(next, this.#own());
        return;
      }
      this.#active -= 1;
      if (this.#active === 0) this.#forgetInside();
    }, this.#run);
  }

  /** The parent's place, for one of those it waits for; then for the next of them. */
  #lend(parent: Place): Place {
    parent.lent = true;
    return new Place((place) => {
      this.#end(place);
      parent.lent = false;
      const [next] = parent.wanted ?? [];
      if (next !== undefined && !parent.ended) this.#start(next, this.#lend(parent));
    }, this.#run);
  }

  #end(place: Place): void {
    if (place.wanted === undefined) return;
    for (const queued of place.wanted) queued.wantedBy.delete(place);
    place.wanted.clear();
  }

  readonly #run = <T>(place: Place, load: () => T): T => {
    if (this.#inside === undefined && this.#active * 2 < this.#concurrency) return load();
    this.#inside ??= new AsyncLocalStorage();
    return this.#inside.run(place, load);
  };

  /** Nothing runs, so nothing is inside: promises are as fast as before. */
  #forgetInside(): void {
    this.#inside?.disable();
    this.#inside = undefined;
  }
}

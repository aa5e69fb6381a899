import type { BatchContext } from "../api.js";
import { CacheError } from "../errors.js";
import type { TagInput } from "../dependency-tag.js";
import type { LoadContext } from "./context.js";
import type { LoadGate, Place } from "./gate.js";

interface Ready<I> {
  readonly item: I;
  readonly context: LoadContext;
  /** Given up before its call began: it takes no part in it. */
  aborted: boolean;
  call: Call | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** One item of a batch, as the flight that may load it sees it. */
export interface BatchItem {
  /** Whether a flight of this item's own was begun; otherwise it was answered at once or joined another's. */
  readonly begun: boolean;
  begin(): void;
  /** Its fate is known: answered, or it waits for somebody else. More than once is once. */
  readonly decide: () => void;
  /** It has come to its load. */
  load(context: LoadContext): Promise<unknown>;
  /** Its load was given up: once all of a call are, the loader is told and its place at the gate is free. */
  abort(reason: unknown): void;
}

/** One call of the batch loader: the items it has left to answer, and what ends it early. */
class Call {
  readonly #controller = new AbortController();
  #left: number;

  constructor(items: number) {
    this.#left = items;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** One of its items is given up. */
  drop(reason: unknown): void {
    this.#left -= 1;
    if (this.#left === 0) this.#controller.abort(reason);
  }

  /** The loader's result, unless all its items are given up before: a loader that never ends must not keep its place. */
  bounded<T>(running: T | PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => reject(this.signal.reason as Error);
      this.signal.addEventListener("abort", aborted, { once: true });
      Promise.resolve(running).then(resolve, reject);
    });
  }
}

type BatchLoader<I> = (
  missing: readonly I[],
  context: BatchContext<I>,
) => Promise<readonly unknown[] | ReadonlyMap<I, unknown>>;

/**
 * Merges the loads of many items into as few calls of a batch loader as their fates allow.
 *
 * Each item has a flight of its own (so it merges with other callers' loads, and has its own lease and fence); the
 * loader is called when every item has either come to its load or been answered otherwise. One that still waits
 * for another process's lease is not waited for: if it loads after all, it does so in a later batch.
 */
export class Batch<I> {
  readonly #loader: BatchLoader<I>;
  readonly #gate: LoadGate;
  #undecided = 0;
  #ready: Ready<I>[] = [];

  constructor(loader: BatchLoader<I>, gate: LoadGate) {
    this.#loader = loader;
    this.#gate = gate;
  }

  /** Enters an item; every item is entered before the first is read. */
  item(item: I): BatchItem {
    this.#undecided += 1;
    let decided = false;
    let begun = false;
    let ready: Ready<I> | undefined;
    const decide = (): void => {
      if (decided) return;
      decided = true;
      this.#undecided -= 1;
      if (this.#undecided === 0) this.#dispatch();
    };
    return {
      get begun() {
        return begun;
      },
      begin: () => {
        begun = true;
      },
      decide,
      load: (context) =>
        new Promise((resolve, reject) => {
          ready = { item, context, aborted: false, call: undefined, resolve, reject };
          this.#ready.push(ready);
          if (decided) this.#dispatch();
          else decide();
        }),
      abort: (reason) => {
        if (ready === undefined || ready.aborted) return;
        ready.aborted = true;
        ready.call?.drop(reason);
      },
    };
  }

  #dispatch(): void {
    // In a microtask: items decided in the same turn, by answers that came together, go together.
    queueMicrotask(() => {
      const ready = this.#ready.filter((one) => !one.aborted);
      this.#ready = [];
      void this.#run(ready);
    });
  }

  async #run(ready: readonly Ready<I>[]): Promise<void> {
    if (ready.length === 0) return;
    const call = new Call(ready.length);
    for (const one of ready) one.call = call;
    let place: Place | undefined;
    try {
      const demands = ready.map(({ context }) => context.demand);
      place = await this.#gate.enter(() => call.signal, demands);
      call.signal.throwIfAborted();
      const items = ready.map(({ item }) => item);
      const running = place.run(() => this.#loader(items, contextOf(ready, call.signal)));
      const values = await call.bounded(running);
      const valueOf = Array.isArray(values)
        ? inOrder(values, items.length)
        : byItem(values as ReadonlyMap<I, unknown>, items);
      for (const [index, one] of ready.entries()) one.resolve(valueOf(index));
    } catch (error) {
      for (const one of ready) one.reject(error);
    } finally {
      place?.leave();
    }
  }
}

function contextOf<I>(ready: readonly Ready<I>[], signal: AbortSignal): BatchContext<I> {
  const contexts = new Map(ready.map(({ item, context }) => [item, context]));
  const of = (item: I): LoadContext => {
    const context = contexts.get(item);
    if (context === undefined)
      throw new CacheError(
        "ERR_CACHE_LOAD",
        "The batch loader's context was asked for an item that is not in the batch",
      );
    return context;
  };
  return {
    signal,
    tags: (item: I, ...tags: readonly TagInput[]) => of(item).tags(...tags),
    ttl: (item, ttl) => of(item).ttl(ttl),
  };
}

function inOrder(values: readonly unknown[], expected: number): (index: number) => unknown {
  if (values.length !== expected) {
    throw new CacheError(
      "ERR_CACHE_LOAD",
      `Expected the batch loader to return ${expected} values in the order asked, got ${values.length}`,
    );
  }
  return (index) => values[index];
}

function byItem<I>(values: ReadonlyMap<I, unknown>, items: readonly I[]): (index: number) => unknown {
  if (!(values instanceof Map))
    throw new CacheError("ERR_CACHE_LOAD", "Expected the batch loader to return an array or a map");
  return (index) => values.get(items[index]);
}

import { AsyncLocalStorage } from "node:async_hooks";

import type { InvalidateOptions, InvalidationTarget } from "../api.js";

/** What waits for a commit. */
export type Queued =
  | { readonly targets: readonly InvalidationTarget[]; readonly mode: InvalidateOptions["mode"] }
  | { readonly run: () => Promise<unknown> };

/** Most that waits for one commit; with more, everything goes. */
const MAX_QUEUED = 10_000;

interface Savepoint {
  readonly name: string;
  /** How many were queued when it was made. */
  readonly mark: number;
}

/**
 * One transaction of the database, as the cache sees it: what is to be invalidated once it has committed.
 *
 * It is *prepared* when only the scope stands (`BEGIN` was not seen yet), *open* once a connection has begun it, and
 * *ended* for good. Prepared and open are the same to a reader: it bypasses the cache.
 */
export class Transaction {
  /** The transaction around this one in the same asynchronous scope, on another connection. */
  readonly outer: Transaction | undefined;
  #state: "prepared" | "open" | "ended" = "prepared";
  #queue: Queued[] = [];
  #isFull = false;
  #savepoints: Savepoint[] = [];
  /** Where a table's invalidation stands in the queue, so that a million inserts queue one. */
  readonly #tables = new Map<string, { readonly at: number; readonly queued: Queued }>();

  constructor(outer: Transaction | undefined) {
    this.outer = outer;
  }

  get isOpen(): boolean {
    return this.#state !== "ended";
  }

  /** Whether a connection has begun it. */
  get isBegun(): boolean {
    return this.#state !== "prepared";
  }

  /** A connection begins it. */
  begin(): void {
    if (this.#state === "prepared") this.#state = "open";
  }

  queue(queued: Queued): void {
    if (this.#queue.length < MAX_QUEUED) this.#queue.push(queued);
    else this.#isFull = true;
  }

  queueTable(table: string, target: InvalidationTarget): void {
    const known = this.#tables.get(table);
    // What a savepoint took back is queued anew.
    if (known !== undefined && this.#queue[known.at] === known.queued) return;
    const queued: Queued = { targets: [target], mode: undefined };
    this.#tables.set(table, { at: this.#queue.length, queued });
    this.queue(queued);
  }

  savepoint(name: string): void {
    this.#savepoints.push({ name, mark: this.#queue.length });
  }

  /** What came after it belongs to the transaction from now on. */
  release(name: string): void {
    const at = this.#lastNamed(name);
    if (at !== -1) this.#savepoints.length = at;
  }

  /** What came after it never was; the savepoint itself stands. */
  rollbackTo(name: string): void {
    const at = this.#lastNamed(name);
    if (at === -1) return;
    this.#queue.length = this.#savepoints[at]?.mark ?? 0;
    this.#savepoints.length = at + 1;
  }

  /** Ends it. @returns what is to be invalidated now. */
  commit(): readonly Queued[] {
    const queue: readonly Queued[] = this.#isFull ? [{ targets: [{ all: true }], mode: undefined }] : this.#queue;
    this.rollback();
    return queue;
  }

  /** Ends it, and drops what was queued. */
  rollback(): void {
    this.#state = "ended";
    this.#queue = [];
    this.#isFull = false;
    this.#savepoints = [];
    this.#tables.clear();
  }

  /** The newest of the name: an older one is hidden behind it, as in the database. */
  #lastNamed(name: string): number {
    return this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
  }
}

/** The transactions that asynchronous scopes of this process are in. */
export class Transactions {
  readonly #storage = new AsyncLocalStorage<Transaction>();

  /** The innermost one that has not ended. */
  current(): Transaction | undefined {
    let transaction = this.#storage.getStore();
    while (transaction !== undefined && !transaction.isOpen) transaction = transaction.outer;
    return transaction;
  }

  /** One whose `BEGIN` is still to come. */
  prepare(): Transaction {
    // Only an open one is kept as the outer one, so no chain of ended ones grows in a scope that lives long.
    return new Transaction(this.current());
  }

  run<T>(transaction: Transaction, inside: () => T): T {
    return this.#storage.run(transaction, inside);
  }

  /**
   * The transaction that a `BEGIN` sent now begins: the one prepared around it, or a new one that the rest of the caller's
   * scope is in until it ends. Must be reached synchronously from the user's call.
   */
  enter(): Transaction {
    const current = this.current();
    if (current?.isBegun === false) return current;
    const transaction = new Transaction(current);
    this.#storage.enterWith(transaction);
    return transaction;
  }
}

import { now, type Row } from "./protocol.js";

/** One query that a process asked of the source. */
export interface Query {
  readonly key: string;
  /** The process. */
  readonly by: string;
  readonly startedAt: number;
  /** `undefined` while it runs. */
  endedAt: number | undefined;
  failed: boolean;
}

/**
 * The database of a scenario: rows with versions, behind as much time and trouble as the scenario wants.
 *
 * A query reads its row when it gets its place and answers when its time is over: what is committed in between makes
 * the answer an old one, as with any database. A query whose client has gone runs to its end.
 */
export class Source {
  /** How long a query takes. */
  latency = 0;
  /** Every query rejects with this. */
  failing: string | undefined;
  /** No query is answered; those that hang stay so. */
  hanging = false;
  /** How many run at once; the others wait in order. */
  slots: number = Number.POSITIVE_INFINITY;
  readonly queries: Query[] = [];
  readonly #versions = new Map<string, number>();
  readonly #queue: (() => void)[] = [];
  #running = 0;

  /** A row that was never committed has version 1. */
  version(key: string): number {
    return this.#versions.get(key) ?? 1;
  }

  commit(keys: readonly string[]): Row[] {
    return keys.map((key) => {
      const version = this.version(key) + 1;
      this.#versions.set(key, version);
      return { key, version };
    });
  }

  async query(key: string, by: string): Promise<Row> {
    const query: Query = { key, by, startedAt: now(), endedAt: undefined, failed: false };
    this.queries.push(query);
    await this.#place();
    try {
      if (this.hanging) await new Promise<never>(() => undefined);
      const row = { key, version: this.version(key) };
      const { failing } = this;
      if (this.latency > 0) await new Promise((resolve) => setTimeout(resolve, this.latency));
      if (failing !== undefined) {
        query.failed = true;
        throw new Error(failing);
      }
      return row;
    } finally {
      query.endedAt = now();
      this.#running -= 1;
      this.#queue.shift()?.();
    }
  }

  /** Queries of a key, or of every key. */
  count(key?: string): number {
    return key === undefined ? this.queries.length : this.queries.filter((query) => query.key === key).length;
  }

  /** Queries of a key that another one, under way or not long over, would have answered. */
  doubled(within: number): number {
    const last = new Map<string, Query>();
    let doubled = 0;
    for (const query of this.queries) {
      const before = last.get(query.key);
      if (before !== undefined && !before.failed) {
        const { endedAt } = before;
        if (endedAt === undefined || query.startedAt < endedAt + within) doubled += 1;
      }
      last.set(query.key, query);
    }
    return doubled;
  }

  async #place(): Promise<void> {
    while (this.#running >= this.slots) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running += 1;
  }
}

import type { Mongo, MongoEvent } from "./mongo.js";
import type { Binlog, BinlogEvent, MySql, Row } from "./mysql.js";

/** A log that is read from a place on, and waits at its end. */
class Log<T> {
  readonly #all: T[] = [];
  #woken: (() => void)[] = [];

  append(...items: readonly T[]): void {
    this.#all.push(...items);
    for (const wake of this.#woken.splice(0)) wake();
  }

  get length(): number {
    return this.#all.length;
  }

  async *from(start: number, isOver: () => boolean, onWait: (wake: () => void) => void): AsyncIterable<T> {
    for (let at = start; !isOver();) {
      const item = this.#all[at];
      if (item !== undefined) {
        at += 1;
        yield item;
      } else
        await new Promise<void>((resolve) => {
          this.#woken.push(resolve);
          onWait(resolve);
        });
    }
  }
}

/** A MongoDB in memory: documents by collection and id, and the change stream of all of them. */
export class MemoryMongo implements Mongo {
  readonly #documents = new Map<string, Row>();
  readonly #log = new Log<MongoEvent>();

  watch(_: readonly object[], { resumeAfter }: { readonly resumeAfter?: unknown }): ReturnType<Mongo["watch"]> {
    let isOver = false;
    let wake = (): void => undefined;
    const start = typeof resumeAfter === "number" ? resumeAfter : this.#log.length;
    const events = this.#log.from(
      start,
      () => isOver,
      (resume) => (wake = resume),
    );
    const close = async (): Promise<void> => {
      isOver = true;
      wake();
    };
    return Object.assign(events, { close });
  }

  collection(name: string): {
    findOne(filter: { readonly _id: unknown }): Promise<Row | undefined>;
    updateOne(filter: object, update: object): Promise<void>;
  } {
    const keyOf = (filter: object): string => JSON.stringify([name, (filter as { readonly _id: unknown })._id]);
    return {
      findOne: async (filter) => this.#documents.get(keyOf(filter)),
      updateOne: async (filter, update) => {
        const { $set, $inc } = update as { readonly $set?: Row; readonly $inc?: Readonly<Record<string, number>> };
        const before = this.#documents.get(keyOf(filter)) ?? { ...filter };
        const counts = Object.entries($inc ?? {}).map(([field, by]) => [field, Number(before[field] ?? 0) + by]);
        const document = { ...before, ...$set, ...Object.fromEntries(counts) };
        this.#documents.set(keyOf(filter), document);
        this.#log.append({
          _id: this.#log.length + 1,
          operationType: "update",
          ns: { coll: name },
          documentKey: filter as { readonly _id: unknown },
          updateDescription: { updatedFields: { ...$set } },
        });
      },
    };
  }
}

/** A MySQL in memory: one table of items, the table of marks, and a binary log that has a commit before readers see it. */
export class MemoryMySql implements MySql, Binlog {
  readonly #items = new Map<number, Row>();
  readonly #log = new Log<BinlogEvent>();
  #transactions = 0;
  #committed = 0;
  #waiting: (() => void)[] = [];

  async query(sql: string, values: readonly unknown[]): Promise<readonly Row[]> {
    const [first, second] = values;
    if (sql.startsWith("SELECT WAIT_FOR")) {
      const wanted = Number(String(first).split("-")[1]);
      while (this.#committed < wanted) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      return [{ late: 0 }];
    }
    if (sql.startsWith("SELECT")) return [this.#items.get(Number(first))].filter((row) => row !== undefined);
    if (sql.startsWith("INSERT INTO tiercache_marks")) await this.#commit("tiercache_marks", { id: first });
    else await this.#commit("items", { id: second, name: first, version: this.#transactions + 1 });
    return [];
  }

  read(after: string | undefined, signal: AbortSignal): AsyncIterable<BinlogEvent> {
    const start = after === undefined ? this.#log.length : 2 * Number(after.split("-")[1]);
    return this.#log.from(
      start,
      () => signal.aborted,
      (wake) => signal.addEventListener("abort", wake, { once: true }),
    );
  }

  async #commit(table: string, row: Row): Promise<void> {
    this.#transactions += 1;
    this.#log.append({ type: "rows", table, rows: [row] }, { type: "commit", gtids: `uuid:1-${this.#transactions}` });
    const own = this.#transactions;
    // Whoever reads the log is told before it is committed.
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (table === "items") this.#items.set(Number(row["id"]), row);
    this.#committed = Math.max(this.#committed, own);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

import type { ChangeSink, ChangeTarget } from "../../feed/change-feed.js";
import type { TableMapping } from "../mapping.js";
import { tableKey, tableName } from "../pg.js";
import type { RowChange } from "../views/view-definition.js";

/** Told of changed rows; see `PostgresFeed.onRows`. */
export type RowListener = (changes: readonly RowChange[], lost: boolean) => Promise<void>;

const ROW: unique symbol = Symbol("row");

/** A target that names nothing, and carries a changed row to where it is published. */
interface CarriedRow {
  readonly tags: readonly [];
  readonly [ROW]: RowChange;
}

/** Those who are told of rows before these are acknowledged. */
export class RowListeners {
  readonly #listeners = new Map<RowListener, ReadonlySet<string>>();

  /** @returns what ends it. */
  add(listener: RowListener, tables: readonly string[]): () => void {
    this.#listeners.set(listener, new Set(tables.map((table) => tableKey(tableName(table)))));
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** How the rows of a table come here; of `columns` see there. */
  mapping(
    table: string,
    fixed: readonly string[],
    columns: readonly string[] | undefined,
  ): TableMapping<Record<string, unknown>> {
    const name = tableKey(tableName(table));
    const carried = (change: RowChange): CarriedRow => ({ tags: [], [ROW]: change });
    return {
      fixed,
      columns,
      targets: ({ kind, old, new: row }) => [carried({ table: name, kind, row, old })],
      whole: [carried({ table: name, kind: "truncate", row: undefined, old: undefined })],
    };
  }

  /** A sink that tells them as well. What they reject with is what publishing rejects with: it is tried again. */
  around(sink: Pick<ChangeSink, "publish" | "forget">): Pick<ChangeSink, "publish" | "forget"> {
    return {
      publish: async (targets) => {
        // Both before it is acknowledged; what is invalidated need not wait for what is noted.
        await Promise.all([sink.publish(targets.filter((target) => !isCarried(target))), this.#tell(targets)]);
      },
      forget: async () => {
        await this.#lost();
        await sink.forget();
      },
    };
  }

  async #tell(targets: readonly ChangeTarget[]): Promise<void> {
    if (this.#listeners.size === 0) return;
    // Everything stands for changes that nobody can name any more.
    if (targets.some((target) => "all" in target && !("of" in target))) return this.#lost();
    const rows = targets.filter(isCarried).map((carried) => carried[ROW]);
    if (rows.length === 0) return;
    for (const [listener, tables] of this.#listeners) {
      const own = rows.filter(({ table }) => tables.has(table));
      if (own.length > 0) await listener(own, false);
    }
  }

  async #lost(): Promise<void> {
    for (const listener of this.#listeners.keys()) await listener([], true);
  }
}

function isCarried(target: ChangeTarget): target is ChangeTarget & CarriedRow {
  return ROW in target;
}

import type { ChangeTarget } from "tiercache";
import { PositionLost, type Change, type ChangeStream } from "./stream-feed.js";

/** What is called of a reader of the binary log: the events of a library such as zongji, one after another. */
export interface Binlog {
  read(afterGtids: string | undefined, signal: AbortSignal): AsyncIterable<BinlogEvent>;
}

/** Needs `binlog_format=ROW`, `binlog_row_image=FULL` and `gtid_mode=ON`. */
export type BinlogEvent =
  | { readonly type: "rows"; readonly table: string; readonly rows: readonly Row[] }
  /** The end of a transaction; with the set of all transactions up to it: `uuid:1-57`. */
  | { readonly type: "commit"; readonly gtids: string }
  /** Statements that change no rows one by one: TRUNCATE, ALTER TABLE. */
  | { readonly type: "statement"; readonly gtids: string };

export type Row = Readonly<Record<string, unknown>>;

/** What is called of a connection: the rows of an answer. */
export interface MySql {
  query(sql: string, values: readonly unknown[]): Promise<readonly Row[]>;
}

const MARKS = "tiercache_marks";
/** ER_MASTER_FATAL_ERROR_READING_BINLOG: what it asks for was purged. */
const PURGED = 1236;

/** The changes of a MySQL server: its binary log, which a reader gets before the transaction is committed in the engine. */
export function mysqlStream(
  binlog: Binlog,
  primary: MySql,
  targetsOf: (table: string, row: Row) => ChangeTarget[],
): ChangeStream {
  return {
    async *changes(after, signal): AsyncIterable<Change> {
      let targets: ChangeTarget[] = [];
      let mark: string | undefined;
      try {
        for await (const event of binlog.read(after, signal)) {
          if (event.type === "rows" && event.table === MARKS) mark = String(event.rows.at(-1)?.["id"]);
          else if (event.type === "rows") targets.push(...event.rows.flatMap((row) => targetsOf(event.table, row)));
          else {
            yield { position: event.gtids, targets: event.type === "statement" ? [{ all: true }] : targets, mark };
            targets = [];
            mark = undefined;
          }
        }
      } catch (error) {
        const isLost = error instanceof Error && "errno" in error && error.errno === PURGED;
        throw isLost ? new PositionLost("The log was purged", { cause: error }) : error;
      }
    },
    mark: async (id) => {
      const sql = `INSERT INTO ${MARKS} (name, id) VALUES ('mark', ?) ON DUPLICATE KEY UPDATE id = ?`;
      await primary.query(sql, [id, id]);
    },
    visible: async (gtids) => {
      const [answer] = await primary.query("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 10) AS late", [gtids]);
      if (Number(answer?.["late"]) !== 0) throw new Error(`Not committed within 10 s: ${gtids}`);
    },
  };
}

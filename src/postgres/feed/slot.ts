import { sqlState } from "../pg.js";
import type { FeedContext } from "./context.js";
import { endClient } from "./database.js";
import { createSlotSql } from "./setup.js";
import { pause } from "./within.js";

/** A slot is waited for in silence for so long; milliseconds. */
const SILENCE = 1_000;

const OPEN_WRITERS = `
SELECT pid, application_name, state, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 5`;

/**
 * Creates the slot. The server first waits until every transaction that is writing has ended: however long that takes, and it is told.
 */
export async function createSlot(context: FeedContext): Promise<void> {
  const { database, clock, news, signal, settings } = context;
  const session = await database.session("tiercache feed: creating a slot");
  const created = new AbortController();
  const watch = async (): Promise<void> => {
    while (!created.signal.aborted) {
      await pause(clock, SILENCE, created.signal);
      if (created.signal.aborted) return;
      const waitsFor = await database.query(OPEN_WRITERS);
      news.repeat({
        what: "waiting",
        detail: { for: "open transactions to end", because: "a slot is created", transactions: waitsFor },
      });
    }
  };
  const abort = (): void => void session.connection.stream.destroy();
  signal.addEventListener("abort", abort, { once: true });
  // It only tells: a failure to ask who is waited for is no failure of the slot.
  watch().catch(() => undefined);
  try {
    await session.query("SET statement_timeout = 0");
    await session.query(createSlotSql(settings.slot));
    news.tell({ what: "slot-created", detail: { slot: settings.slot } });
  } catch (error) {
    // Another process was first.
    if (sqlState(error) !== "42710") throw error;
  } finally {
    created.abort();
    signal.removeEventListener("abort", abort);
    await endClient(session, clock);
  }
}

/** Drops the slot. Somebody may have done so, or taken it: then it is not ours to drop. */
export async function dropSlot(context: FeedContext, why: string): Promise<void> {
  const { database, news, settings } = context;
  await database.query(
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active",
    [settings.slot],
  );
  news.tell({ what: "slot-lost", detail: { slot: settings.slot, because: why } });
}

import { setTimeout as sleep } from "node:timers/promises";

/** PostgreSQL's `object_in_use`. */
const IN_USE = "55006";
/** Milliseconds. */
const PATIENCE = 10_000;
const LOOK_AGAIN = 50;

interface Asked {
  query(text: string, values: readonly unknown[]): Promise<unknown>;
}

/**
 * Drops a replication slot, if there is one. It is in use until the server has noticed that its reader is gone, some moments
 * after the reader has closed.
 */
export async function dropSlot(database: Asked, slot: string): Promise<void> {
  const until = performance.now() + PATIENCE;
  for (;;) {
    try {
      await database.query(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1",
        [slot],
      );
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== IN_USE || performance.now() > until) throw error;
      await sleep(LOOK_AGAIN);
    }
  }
}

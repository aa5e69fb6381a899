import { CacheError } from "../errors.js";
import type { Head, LogRecord } from "../invalidation/record.js";
import type { InvalidationLog, LogSignal } from "../tiers/shared.js";
import type { Connection, Push, PushListener } from "./connection.js";
import type { Layout } from "./layout.js";
import { HEAD, SINCE } from "./scripts.js";
import { headOf, listOf, stateKeys } from "./store.js";
import { parseMessage, parseRecord, textOf } from "./wire.js";

export interface RedisLog extends InvalidationLog {
  /** Ends every subscription, those under way included, and refuses new ones. */
  close(): void;
}

/** @param openPush subscribes to a channel, on a connection of its own where it can. */
export function redisLog(
  connection: Connection,
  layout: Layout,
  openPush: (channel: string, hears: PushListener) => Push,
): RedisLog {
  const state = stateKeys(layout);
  const pushes = new Set<Push>();
  let closed = false;
  return {
    async head(): Promise<Head> {
      return headOf(await connection.run(HEAD, state, []));
    },

    async since(position, limit): Promise<{ records: readonly LogRecord[] | undefined; head: Head }> {
      const [head, found] = listOf(await connection.run(SINCE, state, [String(position), String(limit)]));
      return { records: found === undefined ? undefined : recordsOf(listOf(found)), head: headOf(head) };
    },

    async subscribe(listener: (signal: LogSignal) => void): Promise<() => Promise<void>> {
      if (closed) throw new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed");
      const push = openPush(layout.channel, {
        // What is not ours says nothing; a record of ours that was mangled is found missing by its successor.
        message(text) {
          const signal = parseMessage(text);
          if (signal !== undefined) listener(signal);
        },
        up: () => listener({ type: "up" }),
        down: () => listener({ type: "down" }),
      });
      pushes.add(push);
      try {
        await push.standing;
      } catch (error) {
        pushes.delete(push);
        throw error;
      }
      return async () => {
        pushes.delete(push);
        push.close();
      };
    },

    close() {
      closed = true;
      for (const push of pushes) push.close();
      pushes.clear();
    },
  };
}

/** A record that cannot be read may have hit anything: the log as good as does not reach back. */
function recordsOf(texts: readonly unknown[]): readonly LogRecord[] | undefined {
  const records: LogRecord[] = [];
  for (const text of texts) {
    const record = parseRecord(textOf(text));
    if (record === undefined) return undefined;
    records.push(record);
  }
  return records;
}

import { CacheError } from "../errors.js";
import type { Head, LogRecord } from "../invalidation/record.js";
import type { InvalidationLog, LogSignal } from "../tiers/shared.js";
import type { Push, PushListener } from "./connection.js";
import { HEAD, SINCE } from "./scripts.js";
import type { Signer } from "./sign.js";
import { headOf, listOf, stateKeys, type Wiring } from "./store.js";
import type { Feed, FeedListener } from "./tracking.js";
import { parseMessage, textOf } from "./wire.js";

interface Subscription {
  readonly listener: (signal: LogSignal) => void;
  readonly push: Push;
  feed: Feed | undefined;
}

export interface RedisLog extends InvalidationLog {
  /** Ends every subscription, those under way included, and refuses new ones. */
  close(): void;
}

/**
 * @param openPush subscribes to a channel, on a connection of its own where it can.
 * @param track hears what happens to entries by whomever, if that is wanted.
 */
export function redisLog(
  { connection, layout, signer }: Wiring,
  openPush: (channel: string, hears: PushListener) => Push,
  track: ((hears: FeedListener) => Feed) | undefined,
): RedisLog {
  const state = stateKeys(layout);
  const subscriptions = new Set<Subscription>();
  let closed = false;
  return {
    async head(): Promise<Head> {
      return headOf(await connection.run(HEAD, state, []));
    },

    async since(position, limit): ReturnType<InvalidationLog["since"]> {
      const reply = listOf(await connection.run(SINCE, state, [String(position), String(limit)]));
      for (const { feed } of subscriptions) feed?.check();
      const head = headOf(reply[0]);
      if (!Array.isArray(reply[1])) return { records: undefined, head, oldest: positionOf(reply[2]) };
      const records = recordsOf(reply[1], signer);
      if (records === undefined || !("type" in records)) return { records, head };
      for (const { listener } of subscriptions) listener(records);
      return { records: undefined, head };
    },

    async subscribe(listener: (signal: LogSignal) => void): Promise<() => Promise<void>> {
      if (closed) throw new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed");
      const push = openPush(layout.channel, {
        // What is not ours says nothing; a record of ours that was mangled is found missing by its successor.
        message(text) {
          const signal = parseMessage(text, signer);
          if (signal !== undefined) listener(signal);
        },
        up: () => listener({ type: "up" }),
        down: () => listener({ type: "down" }),
      });
      const subscription: Subscription = { listener, push, feed: undefined };
      subscriptions.add(subscription);
      try {
        await push.standing;
        // After the first "up". Closed meanwhile, it is not begun.
        if (track !== undefined && subscriptions.has(subscription)) subscription.feed = track(changesTo(listener));
        await subscription.feed?.standing;
      } catch (error) {
        end(subscription);
        throw error;
      }
      return async () => end(subscription);
    },

    close() {
      closed = true;
      for (const subscription of subscriptions) end(subscription);
    },
  };

  function end(subscription: Subscription): void {
    subscriptions.delete(subscription);
    subscription.feed?.close();
    subscription.push.close();
  }
}

function positionOf(reply: unknown): number | undefined {
  return reply === null || reply === undefined ? undefined : Number(textOf(reply));
}

function changesTo(listener: (signal: LogSignal) => void): FeedListener {
  return {
    changed: (key) => listener({ type: "changed", key }),
    changedAll: () => listener({ type: "changed-all" }),
    refused: (reason) => listener({ type: "refused", reason }),
  };
}

/** The records, or the signal that one is refused; `undefined` when one cannot be read: it may have hit anything. */
function recordsOf(
  texts: readonly unknown[],
  signer: Signer | undefined,
): readonly LogRecord[] | LogSignal | undefined {
  const records: LogRecord[] = [];
  for (const text of texts) {
    const signal = parseMessage(textOf(text), signer);
    if (signal?.type !== "record") return signal?.type === "refused" ? signal : undefined;
    records.push(signal.record);
  }
  return records;
}

import type { CacheEvent } from "../events.js";
import type { Note } from "./report.js";

/** What is listened to always: none of it comes with every read. */
export const RARE: readonly Note["type"][] = [
  "invalidated",
  "corrupt",
  "tier-down",
  "tier-up",
  "tier-failed",
  "message-refused",
  "log-gap",
  "load-failed",
  "feed",
  "flush-failed",
  "parked",
  "rewound",
  "staleness",
  "background-failed",
];

type NoteText = Omit<Note, "number" | "at">;

/** An event in a few words; `undefined` for one that is not told. */
export function noteOf(event: CacheEvent): NoteText | undefined {
  switch (event.type) {
    case "invalidated": {
      const { type, what, origin, soft, marks, targets, position, delay } = event;
      return { type, what, invalidation: { origin, soft, marks, targets, position, delay } };
    }
    case "corrupt":
      return { type: event.type, what: "bytes that are no entry", key: event.key, detail: messageOf(event.error) };
    case "tier-down":
    case "tier-up":
      return {
        type: event.type,
        what: event.type === "tier-up" ? "answers again" : "breaker opened",
        detail: `shard ${event.shard}`,
      };
    case "tier-failed":
      return { type: event.type, what: event.operation, detail: messageOf(event.error) };
    case "message-refused":
      return { type: event.type, what: "a message that is not believed", detail: event.reason };
    case "log-gap":
      return { type: event.type, what: "the log could not be followed" };
    case "load-failed":
      return { type: event.type, what: "load failed", key: event.key, detail: messageOf(event.error) };
    case "feed":
      return {
        type: event.type,
        what: event.what,
        detail: event.error === undefined ? undefined : messageOf(event.error),
      };
    case "flush-failed":
      return { type: event.type, what: event.name, detail: messageOf(event.error) };
    case "parked":
      return { type: event.type, what: event.name, key: event.key, detail: event.reason };
    case "rewound":
      return { type: event.type, what: event.name, detail: `the ${event.what} went back in time` };
    case "staleness":
      return { type: event.type, what: event.what, key: event.key, detail: event.tier };
    case "background-failed":
      return { type: event.type, what: event.what, detail: messageOf(event.error) };
    default:
      return undefined;
  }
}

/** The first line, and not much of it: messages of drivers may hold anything. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split("\n")[0] ?? "").slice(0, 200);
}

import type { Clock } from "../../clock.js";
import type { ChangeSink } from "../../feed/change-feed.js";
import type { Mappings } from "../mapping.js";
import type { PgConnect } from "../pg.js";
import type { Database } from "./database.js";
import type { News } from "./news.js";
import type { Note } from "./note.js";
import type { ParseCell } from "./rows.js";
import type { Waiters } from "./token.js";
import type { MessageHandlers } from "./transactions.js";
import type { Wake } from "./wake.js";

/** A feed's options, with every question answered. */
export interface FeedSettings {
  readonly connect: PgConnect;
  readonly slot: string;
  readonly publication: string;
  readonly maxStaleness: number;
  readonly collapseAt: number;
  /** Creates and mends what is missing in the database. */
  readonly setup: boolean;
}

/** What a feed that runs is made of. */
export interface FeedContext {
  readonly sink: ChangeSink;
  readonly clock: Clock;
  readonly settings: FeedSettings;
  readonly database: Database;
  readonly mappings: Mappings;
  readonly handlers: MessageHandlers;
  readonly parse: ParseCell;
  readonly news: News;
  readonly waiters: Waiters;
  readonly wake: Wake;
  /** The feed is closing. */
  readonly signal: AbortSignal;
  readonly figures: FeedFigures;
}

/** What `stats` and `status` tell. Changed by whoever leads or stands by. */
export interface FeedFigures {
  role: "connecting" | "leader" | "standby" | "refused";
  /** This process's newest note, for when the shared tier has none. */
  note: Note | undefined;
  /** The same, of an outbox. */
  outboxNote: string | undefined;
  transactions: number;
  rows: number;
  /** Bytes of the log written and not published yet, as of the newest barrier. */
  lagBytes: number;
  retainedBytes: number;
  /** Transactions that wait to be published. */
  waiting: number;
  reconnects: number;
  forgets: number;
}

/** The name of the note of how far the feed has come. */
export function noteName({ slot }: FeedSettings): string {
  return `postgres:${slot}`;
}

/** How often a barrier is begun. */
export function barrierInterval({ maxStaleness }: FeedSettings): number {
  return maxStaleness / 5;
}

/** How long the server waits for a word of ours before it gives the slot to another. */
export function streamPatience({ maxStaleness }: FeedSettings): number {
  return Math.min(60_000, Math.max(5_000, 4 * maxStaleness));
}

/** How often barriers are begun while somebody waits for one, in milliseconds. */
export const WAITED_FOR = 5;

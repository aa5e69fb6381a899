/**
 * The feed where logical replication is not allowed: triggers write what changed into a table, in the transaction of the change,
 * and one process takes it from there.
 *
 * What is in the outbox of a snapshot is visible in it, so there is no waiting for visibility: a poll takes the time, takes all
 * rows, publishes them, and then everything visible at that time is published. Rows go for good with the commit after that; a
 * process that dies in between leaves them to the next. The lock is an advisory one of the session that polls.
 */
import type { ChangeTarget } from "../feed/change-feed.js";
import type { PgClient, PgRow } from "./pg.js";
import { resultsOf, tableKey } from "./pg.js";
import { OUTBOX_STATE, installStatements, outboxTable, takeStatement } from "./outbox-sql.js";
import { barrierInterval, noteName, streamPatience, WAITED_FOR, type FeedContext } from "./feed/context.js";
import { endClient } from "./feed/database.js";
import { Outdated, UnknownScope } from "./feed/outdated.js";
import { lazyRow, UnknownColumn } from "./feed/rows.js";
import { parseSnapshot, seesAllOf, snapshotText, type Snapshot } from "./feed/snapshot.js";
import { pause, Waits, within } from "./feed/within.js";

/** Rows taken at a time. */
const LIMIT = 2_000;
/** Longest wait between two polls, in milliseconds. */
const LONGEST_POLL = 100;

interface OutboxFacts {
  readonly at: number;
  readonly snapshot: Snapshot;
  readonly system: string;
  readonly timeline: string;
  readonly started: string;
  readonly lossy: boolean;
  /** Changes when the table is emptied or made anew by anybody else. */
  readonly outbox: string | undefined;
  readonly tables: Readonly<
    Record<string, { readonly heard: boolean; readonly digest: string; readonly columns: Columns }>
  >;
}

type Columns = Readonly<Record<string, { readonly type: number; readonly category: string }>>;

/** What the process that polls tells the others. */
interface OutboxNote {
  readonly system: string;
  readonly timeline: string;
  readonly started: string;
  readonly outbox: string;
  /** All that it sees is published. */
  readonly snapshot: string;
  readonly tables: Readonly<Record<string, string>>;
}

/** Polls or stands by, for ever, until the signal is aborted. */
export async function runOutbox(context: FeedContext): Promise<void> {
  const { clock, news, signal, figures, settings } = context;
  const waits = new Waits(50, 5_000);
  while (!signal.aborted) {
    try {
      await new OutboxTurn(context).run(() => waits.reset());
    } catch (error) {
      if (signal.aborted) return;
      news.repeat({ what: "disconnected", detail: { outbox: settings.slot }, error });
    }
    figures.role = "connecting";
    figures.reconnects += 1;
    await pause(clock, waits.next(), signal);
  }
}

/** One turn: a session that polls when it has the lock, and follows the one that does when it has not. */
class OutboxTurn {
  readonly #context: FeedContext;
  #digests: Record<string, string> | undefined;
  #owed: { readonly until: bigint; readonly what: "all" | readonly ChangeTarget[]; readonly why: string } | undefined;
  /** The outbox as it was at the last poll. */
  #outbox: string | undefined;
  #barriers: OutboxFacts[] = [];

  constructor(context: FeedContext) {
    this.#context = context;
  }

  async run(onProgress: () => void): Promise<void> {
    const { clock, database, settings, signal, figures, news, wake, waiters } = this.#context;
    const session = await database.session(`tiercache outbox ${settings.slot}`);
    let lost: unknown;
    session.on("error", (error) => (lost = error));
    try {
      // A process that stands still, or whose host is gone, must not keep the lock.
      const patience = Math.ceil(streamPatience(settings));
      await this.#query(session, `SET idle_session_timeout = ${patience}`);
      await this.#query(session, `SET idle_in_transaction_session_timeout = ${patience}`);
      let leading = false;
      while (!signal.aborted) {
        if (lost !== undefined) throw lost;
        const begun = clock.now();
        if (!leading) leading = await this.#lock(session);
        const role = leading ? "leader" : "standby";
        if (figures.role !== role)
          news.tell({ what: leading ? "connected" : "standing-by", detail: { outbox: settings.slot } });
        figures.role = role;
        const more = leading ? await this.#poll(session) : await this.#follow(session);
        onProgress();
        if (more) continue;
        const every = Math.min(barrierInterval(settings) / (leading ? 1 : 2), LONGEST_POLL);
        await wake.pause(clock, waiters.any ? WAITED_FOR : Math.max(2, begun + every - clock.now()), signal);
      }
    } finally {
      await endClient(session, clock);
    }
  }

  async #lock(session: PgClient): Promise<boolean> {
    const [row] = await this.#query(session, "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine", [
      `tiercache ${this.#context.settings.slot}`,
    ]);
    return row?.["mine"] === true;
  }

  /** @returns whether there is more to take at once. */
  async #poll(session: PgClient): Promise<boolean> {
    const { sink, waiters, figures } = this.#context;
    const facts = await this.#ask(session);
    if (!(await this.#isSound(session, facts))) return false;
    await this.#query(session, "BEGIN ISOLATION LEVEL READ COMMITTED");
    try {
      const rows = await this.#query(session, takeStatement(this.#context.settings.slot, LIMIT));
      const targets = this.#outdated(rows, facts).targets();
      if (targets.length > 0) await sink.publish(targets);
      await this.#query(session, "COMMIT");
      figures.rows += rows.length;
      figures.waiting = rows.length === LIMIT ? LIMIT : 0;
      if (rows.length === LIMIT) return true;
    } catch (error) {
      // The rows are there again for the next poll. A session that cannot roll back is lost, and with it the transaction.
      await this.#query(session, "ROLLBACK").catch(() => undefined);
      throw error;
    }
    sink.complete(facts.at);
    waiters.completed(facts);
    await this.#writeNote(facts);
    return false;
  }

  async #follow(session: PgClient): Promise<false> {
    const { sink, settings, news, waiters } = this.#context;
    const note = readOutboxNote(await sink.readNote(noteName(settings)));
    const facts = await this.#ask(session);
    if (note === undefined || note.system !== facts.system || note.timeline !== facts.timeline) return false;
    const seen = parseSnapshot(note.snapshot);
    // A note that is ahead of what is asked after it is one of another history.
    if (seen.xmax > facts.snapshot.xmax) return false;
    const unheard = Object.keys(facts.tables).filter((table) => !Object.hasOwn(note.tables, table));
    if (unheard.length > 0) {
      news.repeat({
        what: "waiting",
        detail: { for: "the leader", because: `it does not listen to ${unheard.join(", ")}` },
      });
      return false;
    }
    this.#barriers.push(facts);
    if (this.#barriers.length > 50) this.#barriers.shift();
    const newest = this.#barriers.findLast(({ snapshot }) => seesAllOf(seen, snapshot));
    if (newest === undefined || !(await sink.catchUp())) return false;
    this.#barriers = this.#barriers.slice(this.#barriers.indexOf(newest) + 1);
    sink.complete(newest.at);
    waiters.completed(newest);
    return false;
  }

  async #isSound(session: PgClient, facts: OutboxFacts): Promise<boolean> {
    const { sink, settings, mappings, news, figures } = this.#context;
    const missing = mappings.tables.filter((table) => facts.tables[tableKey(table)]?.heard !== true);
    let now = facts;
    if (facts.outbox === undefined || missing.length > 0) {
      news.repeat({ what: "drifted", detail: { withoutTriggers: missing.map(tableKey) } });
      if (!settings.setup) throw new Error(`No triggers on ${missing.map(tableKey).join(", ")}: call installOutbox()`);
      for (const statement of installStatements(settings.slot, mappings)) await this.#query(session, statement);
      now = await this.#ask(session);
      if (mappings.tables.some((table) => now.tables[tableKey(table)]?.heard !== true))
        throw new Error(`The triggers of ${outboxTable(settings.slot)} are not all there`);
      news.tell({ what: "mended" });
    }
    if (this.#digests === undefined) {
      // The shared tier may have lost its copy.
      const note = readOutboxNote((await sink.readNote(noteName(settings))) ?? figures.outboxNote);
      const gap = outboxGap(note, now);
      this.#digests = gap === undefined && note !== undefined ? { ...note.tables } : digestsOf(now);
      if (gap !== undefined) this.#owed = { until: now.snapshot.xmax, what: "all", why: gap };
    }
    if (this.#outbox !== undefined && this.#outbox !== now.outbox)
      this.#owed = { until: now.snapshot.xmax, what: "all", why: "the outbox was made anew or emptied" };
    this.#outbox = now.outbox;
    const known = this.#digests;
    const changed = mappings.tables.filter((table) => known[tableKey(table)] !== now.tables[tableKey(table)]?.digest);
    if (changed.length > 0 && this.#owed?.what !== "all") {
      const whole = changed.flatMap((table) => mappings.of(table).flatMap((mapping) => mapping.whole));
      const before = this.#owed === undefined ? [] : this.#owed.what;
      this.#owed = {
        until: now.snapshot.xmax,
        what: [...before, ...whole],
        why: `changed: ${changed.map(tableKey).join(", ")}`,
      };
    }
    this.#digests = digestsOf(now);
    const owed = this.#owed;
    if (owed === undefined) return true;
    if (now.snapshot.xmin < owed.until) {
      news.repeat({ what: "waiting", detail: { for: "open transactions to end", because: owed.why } });
      return false;
    }
    if (owed.what === "all") await sink.forget();
    else if (owed.what.length > 0) await sink.publish(owed.what);
    if (owed.what === "all") figures.forgets += 1;
    this.#owed = undefined;
    news.tell({ what: owed.what === "all" ? "forgot" : "invalidated-tables", detail: { because: owed.why } });
    return false;
  }

  #outdated(rows: readonly PgRow[], facts: OutboxFacts): Outdated {
    const { mappings, news, settings } = this.#context;
    const outdated = new Outdated();
    const counts = new Map<string, number>();
    for (const row of rows) {
      const source = String(row["source"]);
      const count = (counts.get(source) ?? 0) + 1;
      counts.set(source, count);
      const [schema = "", table = ""] = source.split(".");
      for (const mapping of mappings.of({ schema, table })) {
        if (row["kind"] === "truncate" || count > settings.collapseAt) {
          outdated.addWhole(mapping);
          continue;
        }
        const columns = facts.tables[source]?.columns ?? {};
        const change = {
          kind: kindOf(row["kind"]),
          old: this.#row(row["old"], columns),
          new: this.#row(row["new"], columns),
        };
        const refusal = outdated.addChange(mapping, change);
        if (refusal === undefined) continue;
        const { error } = refusal;
        const incomplete = error instanceof UnknownColumn || error instanceof UnknownScope;
        news.repeat({ what: incomplete ? "row-incomplete" : "mapping-failed", detail: { table: mapping.name }, error });
      }
    }
    return outdated;
  }

  #row(text: unknown, columns: Columns): object | undefined {
    if (typeof text !== "string") return undefined;
    const cells = JSON.parse(text) as Readonly<Record<string, string | null>>;
    return lazyRow((column) => {
      const cell = Object.hasOwn(cells, column) ? cells[column] : undefined;
      const known = Object.hasOwn(columns, column) ? columns[column] : undefined;
      if (cell === undefined || known === undefined) throw new UnknownColumn(column);
      return cell === null ? null : valueOf(cell, known, this.#context.parse);
    });
  }

  async #writeNote(facts: OutboxFacts): Promise<void> {
    const { sink, settings, news, figures } = this.#context;
    const { system, timeline, started, outbox = "" } = facts;
    const snapshot = snapshotText(facts.snapshot);
    const note: OutboxNote = { system, timeline, started, outbox, snapshot, tables: digestsOf(facts) };
    const text = JSON.stringify({ v: 1, ...note });
    try {
      await sink.writeNote(noteName(settings), text);
      figures.outboxNote = text;
    } catch (error) {
      news.repeat({ what: "publish-failed", error });
    }
  }

  async #ask(session: PgClient): Promise<OutboxFacts> {
    const { clock, settings, mappings } = this.#context;
    const at = clock.now();
    const wanted = mappings.tables.map(({ schema, table, columns }) => ({ schema, name: table, columns }));
    const [row] = await this.#query(session, OUTBOX_STATE, [settings.slot, JSON.stringify(wanted)]);
    if (row === undefined) throw new TypeError("A query of the feed has no answer");
    if (row["recovery"] === true) throw new Error("This server is a replica: connect to the primary");
    const tables = (typeof row["tables"] === "string" ? JSON.parse(row["tables"]) : []) as readonly PgRow[];
    return {
      at,
      snapshot: parseSnapshot(row["snapshot"]),
      system: String(row["system"]),
      timeline: String(row["timeline"]),
      started: String(row["started"]),
      lossy: row["lossy"] === true,
      outbox: typeof row["outbox"] === "string" ? row["outbox"] : undefined,
      tables: Object.fromEntries(
        tables.map((one) => [
          String(one["key"]),
          { heard: one["heard"] === true, digest: String(one["digest"]), columns: (one["columns"] ?? {}) as Columns },
        ]),
      ),
    };
  }

  async #query(session: PgClient, text: string, values?: readonly unknown[]): Promise<readonly PgRow[]> {
    const { clock, settings } = this.#context;
    const answer = values === undefined ? session.query(text) : session.query(text, [...values]);
    return (
      resultsOf(await within(clock, Math.max(10_000, settings.maxStaleness), "A query of the outbox", answer)).at(-1) ??
      []
    );
  }
}

function kindOf(kind: unknown): "insert" | "update" | "delete" {
  return kind === "insert" || kind === "delete" ? kind : "update";
}

/** What `pg` would have given: jsonb writes times and arrays in a way of its own. */
function valueOf(text: string, { type, category }: Columns[string], parse: FeedContext["parse"]): unknown {
  if (category === "A") return JSON.parse(text) as unknown;
  // timestamp, timestamptz
  return parse(type, type === 1114 || type === 1184 ? text.replace("T", " ") : text);
}

/** Why changes may have passed unseen between a note and now; `undefined` when none can have. */
function outboxGap(note: OutboxNote | undefined, facts: OutboxFacts): string | undefined {
  if (note === undefined) return "nothing is known of what was published before";
  if (note.system !== facts.system || note.timeline !== facts.timeline)
    return "the database has another history: it failed over or was restored";
  if (parseSnapshot(note.snapshot).xmax > facts.snapshot.xmax) return "the database went back: it was restored";
  if (note.outbox !== facts.outbox) return "the outbox was made anew or emptied";
  if (note.started !== facts.started && facts.lossy)
    return "the database restarted, and synchronous_commit is off: commits that were seen may be lost";
  return undefined;
}

function readOutboxNote(text: string | undefined): OutboxNote | undefined {
  if (text === undefined) return undefined;
  try {
    const found = JSON.parse(text) as OutboxNote & { v: number };
    parseSnapshot(found.snapshot);
    return found.v === 1 && typeof found.tables === "object" && typeof found.outbox === "string" ? found : undefined;
  } catch {
    // Not one of ours: nothing is known.
    return undefined;
  }
}

function digestsOf(facts: OutboxFacts): Record<string, string> {
  return Object.fromEntries(Object.entries(facts.tables).map(([table, { digest }]) => [table, digest]));
}

/**
 * The one process that reads the slot.
 *
 * What is told to the cache, and why it is true:
 * - Each barrier asks how things stand (`Facts`), after taking the time. It is over when everything below its place in the log has
 *   come, and what its snapshot sees of that is published: then everything committed before that time is in every tier.
 * - A keepalive names a place below which everything has been sent, so a database without writes has barriers too.
 * - The note comes after the barrier, the acknowledgement after the note. Whoever leads next compares the slot with
 *   the note: if the slot stands further, it is not the one that was read.
 * - Until what is owed (a gap, a table that was not published) is invalidated, no barrier is begun. It is invalidated only when all
 *   transactions that may have been missed have ended: before that, a load could store the old row again.
 */
import type { ChangeTarget } from "../../feed/change-feed.js";
import { tableKey } from "../pg.js";
import { barrierInterval, noteName, streamPatience, WAITED_FOR, type FeedContext } from "./context.js";
import { askFacts, askSnapshot, type Facts, type History } from "./facts.js";
import { gapSince, isSameHistory, MAX_EXCEPT, readNote, writeNote, type Note } from "./note.js";
import { Publisher } from "./publisher.js";
import type { ReplicationMessage } from "./replication-message.js";
import { addToPublication } from "./setup.js";
import { isVisible } from "./snapshot.js";
import { ReplicationStream } from "./stream.js";
import { TransactionReader, WAKE_PREFIX } from "./transactions.js";
import { Waits } from "./within.js";

/** Things that wait to be published before the stream is held up. */
const MAX_WAITING = 50_000;
/** Barriers under way. */
const MAX_BARRIERS = 20;

interface Owed {
  /** All transactions below must have ended. */
  readonly until: bigint;
  readonly what: "all" | readonly ChangeTarget[];
  readonly why: string;
}

/** How a time as leader ended. */
export interface LeadEnd {
  readonly error: unknown;
  /** How far the log was read. */
  readonly received: bigint;
}

/** Leads until it cannot any more. @throws what the server says when the slot cannot be had. */
export async function lead(context: FeedContext): Promise<LeadEnd> {
  const leader = new Leader(context);
  return leader.run();
}

class Leader {
  readonly #context: FeedContext;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  readonly #reader: TransactionReader;
  readonly #publisher: Publisher;
  #stream: ReplicationStream | undefined;
  #barriers: Facts[] = [];
  #owed: Owed | undefined;
  /** Of the database this time as leader began with: a note may still be of the one before. */
  #history: History | undefined;
  /** Of each table, its digest when its events were last known to be whole. */
  #digests: Record<string, string> | undefined;
  /** The mappings whose columns were last looked after. */
  #mended = -1;
  #noted = 0n;
  #writing = false;
  #paused = false;
  #end: { readonly error: unknown } | undefined;

  constructor(context: FeedContext) {
    this.#context = context;
    const { sink, news, settings, database, mappings, handlers, parse, wake } = context;
    this.#signal = this.#ending.signal;
    this.#reader = new TransactionReader({
      mappings,
      handlers,
      parse,
      collapseAt: settings.collapseAt,
      tell: news.repeat,
      onWake: wake.fire,
    });
    this.#publisher = new Publisher({
      sink,
      snapshot: () => askSnapshot(database),
      tell: news.repeat,
      onProgress: () => this.#onProgress(),
      signal: this.#signal,
    });
  }

  async run(): Promise<LeadEnd> {
    const context = this.#context;
    const { settings, clock, figures, news, wake, waiters } = context;
    const stream = await ReplicationStream.open({
      connect: settings.connect,
      clock,
      slot: settings.slot,
      publication: settings.publication,
      patience: streamPatience(settings),
      onMessage: (message) => this.#onMessage(message),
    });
    this.#stream = stream;
    const close = (): void => this.#ending.abort();
    context.signal.addEventListener("abort", close);
    if (context.signal.aborted) close();
    void stream.ended.then((error) => this.#stop(error));
    figures.role = "leader";
    news.tell({ what: "connected", detail: { slot: settings.slot } });
    try {
      while (!this.#signal.aborted) {
        const begun = clock.now();
        await this.#tick();
        if (this.#signal.aborted) break;
        const next = waiters.any ? WAITED_FOR : Math.max(2, begun + barrierInterval(settings) - clock.now());
        await wake.pause(clock, next, this.#signal);
      }
    } finally {
      context.signal.removeEventListener("abort", close);
      this.#ending.abort();
      await stream.close();
    }
    return { error: this.#end?.error, received: this.#publisher.received };
  }

  #stop(error: unknown): void {
    this.#end ??= { error };
    this.#ending.abort();
  }

  #onMessage(message: ReplicationMessage): void {
    if (message.kind === "keepalive") {
      this.#publisher.reached(message.lsn);
      if (message.reply) this.#acknowledge(false);
      return;
    }
    const transaction = this.#reader.read(message.data);
    if (transaction === undefined) return;
    const { figures } = this.#context;
    figures.transactions += 1;
    figures.rows += this.#reader.rows;
    this.#reader.rows = 0;
    this.#publisher.add(transaction);
    if (!this.#paused && this.#publisher.size > MAX_WAITING) {
      this.#paused = true;
      this.#stream?.pause();
    }
  }

  #onProgress(): void {
    this.#context.figures.waiting = this.#publisher.waiting;
    if (this.#paused && this.#publisher.size < MAX_WAITING / 2) {
      this.#paused = false;
      this.#stream?.resume();
    }
    this.#settle();
  }

  /** One barrier, from its question to when it is over or the next is due. */
  async #tick(): Promise<void> {
    const { clock, settings, news, database, mappings } = this.#context;
    // Also the sign of life that keeps the slot ours while the stream is held up.
    this.#acknowledge(false);
    const failing = this.#publisher.failingSince;
    if (failing !== undefined && clock.now() - failing > Math.max(5_000, 2 * settings.maxStaleness)) {
      // Perhaps another process reaches the shared tier; and a server that shuts down waits for us.
      this.#stop(new Error("What changed could not be published"));
      return;
    }
    try {
      const facts = await askFacts(database, clock, settings.slot, settings.publication, mappings.tables);
      if (this.#signal.aborted || !(await this.#isSound(facts))) return;
      this.#barriers.push(facts);
      if (this.#barriers.length > MAX_BARRIERS) this.#barriers.shift();
      this.#settle();
      await this.#nudge(facts);
    } catch (error) {
      if (!this.#signal.aborted) news.repeat({ what: "query-failed", error });
    }
  }

  /** Whether the events of every table are whole, up to when the facts were taken. What is missing is begun to be mended. */
  async #isSound(facts: Facts): Promise<boolean> {
    const { figures, news } = this.#context;
    if (this.#digests === undefined) await this.#compareWithNote(facts);
    else if (this.#history !== undefined && !isSameHistory(this.#history, facts)) {
      this.#stop(new Error("The database is another than before"));
      return false;
    }
    figures.retainedBytes = facts.slot?.retained ?? 0;
    figures.lagBytes = Number(facts.lsn > this.#publisher.safe ? facts.lsn - this.#publisher.safe : 0n);
    await this.#mend(facts);
    const owed = this.#owed;
    if (owed === undefined) return true;
    if (facts.snapshot.xmin < owed.until) {
      news.repeat({ what: "waiting", detail: { for: "open transactions to end", because: owed.why } });
      return false;
    }
    await this.#pay(owed);
    // The barrier that comes next begins after it.
    this.#context.wake.fire();
    return false;
  }

  async #compareWithNote(facts: Facts): Promise<void> {
    this.#history = facts;
    const { sink, settings, figures } = this.#context;
    const shared = readNote(await sink.readNote(noteName(settings)));
    const mine = figures.note;
    // The shared tier may have lost its copy, or another process may have led since.
    const useMine =
      mine !== undefined && (shared === undefined || (isSameHistory(mine, facts) && mine.lsn > shared.lsn));
    const note = useMine ? mine : shared;
    const gap = gapSince(note, facts);
    if (gap === undefined && note !== undefined) {
      // What the one before published comes from the log, which may not be applied here: the stream begins behind it.
      if (!(await sink.catchUp())) throw new Error("What was published before could not be read");
      this.#digests = { ...note.tables };
      return;
    }
    this.#digests = digestsOf(facts);
    this.#owe({ until: facts.snapshot.xmax, what: "all", why: gap ?? "" });
  }

  /** Tables that are not published are, if that is allowed; and what may have happened to them unseen is owed. */
  async #mend(facts: Facts): Promise<void> {
    const { mappings, settings, news, database, clock } = this.#context;
    const { tables } = mappings;
    const known = this.#digests ?? {};
    const changed = tables.filter((table) => known[tableKey(table)] !== facts.tables[tableKey(table)]?.digest);
    const missing = tables.filter((table) => {
      const found = facts.tables[tableKey(table)];
      if (found?.published !== true) return true;
      // Where nobody has said what is read, it may be enough, and reading another throws: mended if that may be, and tried once.
      const isNews = changed.includes(table) || this.#mended !== mappings.version;
      return !found.covered && (table.columns !== undefined || (settings.setup && isNews));
    });
    const { version } = mappings;
    if (missing.length > 0) {
      news.repeat({ what: "drifted", detail: { unpublished: missing.map(tableKey) } });
      if (!settings.setup) throw new Error(`Not published: ${missing.map(tableKey).join(", ")}`);
      await addToPublication(database, settings.publication, mappings, missing);
    }
    this.#mended = version;
    if (changed.length === 0 && missing.length === 0) return;
    const after =
      missing.length === 0 ? facts : await askFacts(database, clock, settings.slot, settings.publication, tables);
    const mended = missing.filter((table) => after.tables[tableKey(table)]?.covered === true);
    if (mended.length > 0) news.tell({ what: "mended", detail: { published: mended.map(tableKey) } });
    // Narrowed and mended, a publication looks as it did before; what it left out meanwhile is gone.
    const touched = tables.filter(
      (table) =>
        missing.includes(table) ||
        changed.includes(table) ||
        known[tableKey(table)] !== after.tables[tableKey(table)]?.digest,
    );
    const whole = touched.flatMap((table) => mappings.of(table).flatMap((mapping) => mapping.whole));
    // Where only the columns or the file are others, no event was missed, and nothing must end first.
    const gap =
      missing.length > 0 ||
      touched.some((table) => streamPart(known[tableKey(table)]) !== streamPart(after.tables[tableKey(table)]?.digest));
    this.#owe({
      until: gap ? after.snapshot.xmax : 0n,
      what: whole,
      why: `changed: ${touched.map(tableKey).join(", ")}`,
    });
    this.#digests = digestsOf(after);
  }

  #owe(more: Owed): void {
    const owed = this.#owed;
    this.#barriers = [];
    if (owed === undefined) {
      this.#owed = more;
      return;
    }
    const what = owed.what === "all" || more.what === "all" ? "all" : [...owed.what, ...more.what];
    const until = owed.until > more.until ? owed.until : more.until;
    this.#owed = { until, what, why: `${owed.why}; ${more.why}` };
  }

  async #pay(owed: Owed): Promise<void> {
    const { sink, news, figures } = this.#context;
    if (owed.what === "all") {
      await sink.forget();
      figures.forgets += 1;
    } else if (owed.what.length > 0) await sink.publish(owed.what);
    if (this.#owed === owed) this.#owed = undefined;
    news.tell({ what: owed.what === "all" ? "forgot" : "invalidated-tables", detail: { because: owed.why } });
  }

  /** Completes the newest barrier that is over. */
  #settle(): void {
    for (let at = this.#barriers.length - 1; at >= 0; at--) {
      const facts = this.#barriers[at];
      if (facts === undefined || !this.#isOver(facts)) continue;
      this.#barriers.splice(0, at + 1);
      this.#context.sink.complete(facts.at);
      // A token may stand for what that barrier did not see yet, although it lies before its place in the log.
      if (this.#publisher.unpublished(facts.lsn, facts.snapshot).length === 0) this.#context.waiters.completed(facts);
      void this.#note(facts);
      return;
    }
  }

  #isOver({ lsn, snapshot }: Facts): boolean {
    if (this.#owed !== undefined || this.#publisher.received < lsn) return false;
    return this.#publisher.unpublished(lsn, snapshot).every((xid) => !isVisible(xid, snapshot));
  }

  /** Has the server say how far it has read, until that is far enough or the next barrier is due. */
  async #nudge(facts: Facts): Promise<void> {
    const { clock, settings, database } = this.#context;
    const every = barrierInterval(settings);
    const waits = new Waits(1, 50);
    let flushed = false;
    while (!this.#signal.aborted && this.#publisher.received < facts.lsn && clock.now() - facts.at < every) {
      this.#acknowledge(true);
      await new Promise<void>((resolve) => clock.after(waits.next(), resolve));
      if (flushed || clock.now() - facts.at < Math.min(100, every / 2)) continue;
      flushed = true;
      // The log is sent as far as it is flushed; what is not is a commit without synchronous_commit, or nobody's.
      await database.query(
        "SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, $1, 'flush')",
        [`${WAKE_PREFIX}:flush`],
      );
    }
  }

  /** Tells the other processes, and then the server. */
  async #note(facts: Facts): Promise<void> {
    if (this.#writing) return;
    const except = this.#publisher.unpublished(facts.lsn, facts.snapshot);
    if (except.length > MAX_EXCEPT) return;
    this.#writing = true;
    const { sink, settings, figures, news } = this.#context;
    const { system, timeline, started, lsn } = facts;
    const note: Note = { system, timeline, started, lsn, except, tables: digestsOf(facts) };
    try {
      await sink.writeNote(noteName(settings), writeNote(note));
      figures.note = note;
      this.#noted = lsn;
      this.#acknowledge(false);
    } catch (error) {
      news.repeat({ what: "publish-failed", error });
    } finally {
      this.#writing = false;
    }
  }

  #acknowledge(reply: boolean): void {
    const { safe } = this.#publisher;
    this.#stream?.status(safe < this.#noted ? safe : this.#noted, reply);
  }
}

function digestsOf(facts: Facts): Record<string, string> {
  return Object.fromEntries(Object.entries(facts.tables).map(([table, { digest }]) => [table, digest]));
}

/** The part of a digest that says where a table's events come from. */
function streamPart(digest: string | undefined): string | undefined {
  return digest?.split("/")[0];
}

import type { ChangeSink } from "../../src/index.js";
import { isVisible, type Facts, type Listener, type Stream, type Transaction } from "./database.js";
import type { Instance } from "./instance.js";
import type { World } from "./world.js";

/** How far the process that reads the slot has come: everything up to `lsn` is published, or was forgotten. */
export interface Note {
  readonly lsn: number;
  /** The slot it was read from. */
  readonly epoch: number;
}

/** A time, and the end of the log as it was asked for after it. */
export interface Barrier {
  readonly at: number;
  readonly lsn: number;
}

/** Milliseconds before something is tried again. */
const PAUSE = 2;
const NOTE = "simulated";

export function pause(sink: ChangeSink, ms: number): Promise<void> {
  return new Promise((resolve) => sink.clock.after(ms, resolve));
}

/** What the one that reads the slot has noted; `undefined`: nothing is known of it. */
export async function readNote(world: World, sink: ChangeSink): Promise<Note | undefined> {
  const text = await sink.readNote(NOTE);
  return text === undefined || world.losesNotes ? undefined : (JSON.parse(text) as Note);
}

/** The one process that reads the slot. See `ChangeFeed`: it publishes what is visible, acknowledges what is published, and bounds. */
export class FeedLeader implements Listener {
  readonly #world: World;
  readonly #owner: Instance;
  readonly #sink: ChangeSink;
  #stream: Stream | undefined;
  /** Heard of and not published, in the order of the log. */
  #queue: Transaction[] = [];
  #received = 0;
  #barriers: Barrier[] = [];
  #isPublishing = false;
  #acknowledged = 0;
  /** Nothing has passed unseen, and everything published before is applied here. */
  #isSound = false;
  /** Something may have passed unseen, of transactions below: they must have ended before everything is forgotten. */
  #owed: number | undefined;

  constructor(world: World, owner: Instance, sink: ChangeSink) {
    this.#world = world;
    this.#owner = owner;
    this.#sink = sink;
  }

  get isEnded(): boolean {
    return this.#stream?.isEnded !== false;
  }

  /** Takes the slot. @returns false when another has it. */
  async begin(): Promise<boolean> {
    const { database, tally } = this.#world;
    this.#stream = await database.ask(this.#owner, "takes the slot", () => {
      const stream = database.read(this.#owner, this);
      this.#received = stream?.from ?? 0;
      return stream;
    });
    if (this.#stream === undefined) return false;
    tally.takeovers += 1;
    return true;
  }

  hear(transaction: Transaction): void {
    if (this.#world.database.isRunning(transaction)) this.#world.tally.early += 1;
    this.#queue.push(transaction);
    this.#received = transaction.lsn;
    void this.#publish();
  }

  reached(lsn: number): void {
    this.#received = lsn;
    this.#acknowledge();
    this.#settle();
  }

  /** One barrier. */
  async tick(): Promise<void> {
    const { database } = this.#world;
    const at = this.#sink.clock.now();
    const facts = await database.ask(this.#owner, "facts", () => database.facts());
    if (!this.#isSound && !(await this.#mend(facts))) return;
    this.#barriers.push({ at, lsn: facts.lsn });
    this.#stream?.askReply();
    this.#settle();
  }

  /** @returns whether the barrier may be begun. */
  async #mend({ snapshot }: Facts): Promise<boolean> {
    if (this.#owed === undefined) {
      const note = await readNote(this.#world, this.#sink);
      if (note?.epoch === this.#stream?.epoch) {
        // What the one before has published may not have come here yet.
        this.#isSound = await this.#sink.catchUp();
        return this.#isSound;
      }
      this.#owed = snapshot.xmax;
      this.#world.tell(`${this.#owner.process} may have missed something: ${JSON.stringify(note)}`);
    }
    if (snapshot.xmin < this.#owed) return false;
    this.#isSound = await this.#world.promised(this.#owner, undefined, () => this.#sink.forget());
    if (this.#isSound) this.#world.tally.forgets += 1;
    // The next one begins after it.
    return false;
  }

  /** One round at a time: what comes meanwhile is taken by the next. */
  async #publish(): Promise<void> {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    const { database } = this.#world;
    while (this.#queue.length > 0 && this.#stream?.isEnded !== true) {
      const snapshot = await database.ask(this.#owner, "snapshot", () => database.snapshot());
      const seen = this.#queue.filter(({ xid }) => isVisible(xid, snapshot));
      const isPublished = seen.length > 0 && (await this.#tell(seen));
      if (!isPublished) await pause(this.#sink, PAUSE);
      else this.#queue = this.#queue.filter((transaction) => !seen.includes(transaction));
      this.#acknowledge();
      this.#settle();
    }
    this.#isPublishing = false;
  }

  #tell(transactions: readonly Transaction[]): Promise<boolean> {
    const targets = transactions.flatMap(({ rows, manner }) =>
      rows.map((row) => this.#world.changeOf(this.#owner.process, row, manner)),
    );
    const rows = transactions.flatMap((transaction) => transaction.rows);
    this.#world.tell(`${this.#owner.process} publishes ${transactions.map(({ xid }) => xid).join()}`);
    return this.#world.promised(this.#owner, rows, () => this.#sink.publish(targets));
  }

  /** Completes the newest barrier that is over. */
  #settle(): void {
    const over = this.#barriers.findLastIndex(({ lsn }) => lsn <= this.#safe());
    const barrier = this.#barriers[over];
    if (barrier === undefined) return;
    this.#barriers.splice(0, over + 1);
    this.#sink.complete(barrier.at);
    void this.#note(barrier.lsn);
  }

  /** Everything up to here is published. */
  #safe(): number {
    return Math.min(this.#received, (this.#queue[0]?.lsn ?? Number.POSITIVE_INFINITY) - 1);
  }

  async #note(lsn: number): Promise<void> {
    try {
      await this.#sink.writeNote(NOTE, JSON.stringify({ lsn, epoch: this.#stream?.epoch }));
    } catch {
      // The next barrier writes the next.
    }
  }

  #acknowledge(): void {
    const { database } = this.#world;
    const lsn = this.#safe();
    const stream = this.#stream;
    if (stream === undefined || lsn <= this.#acknowledged) return;
    this.#acknowledged = lsn;
    void database.ask(this.#owner, `acknowledges ${lsn}`, () => database.acknowledge(stream, lsn));
  }
}

import type { Instance } from "./instance.js";
import type { World } from "./world.js";

/** What one transaction did to rows, and how far it has come. */
export interface Transaction {
  readonly xid: number;
  readonly rows: readonly number[];
  /** In which of several ways the feed says what it made outdated. */
  readonly manner: number;
  /** Its place in the log; 0 before its commit. */
  lsn: number;
}

/** Who is visible to a reader: everybody below `xmax` who does not run any more. */
export interface Snapshot {
  readonly xmin: number;
  readonly xmax: number;
  readonly running: ReadonlySet<number>;
}

/** How things stand, asked for in one query. */
export interface Facts {
  /** The end of the log. */
  readonly lsn: number;
  readonly snapshot: Snapshot;
  /** Nobody reads the slot, or there is none. */
  readonly isFree: boolean;
}

/** What whoever reads a slot is told, in the order of the log. */
export interface Listener {
  hear(transaction: Transaction): void;
  /** Everything up to here has been sent. */
  reached(lsn: number): void;
}

/** Where the database keeps how far the feed has read. `epoch`: which of the slots of that name it is. */
interface Slot {
  readonly epoch: number;
  confirmed: number;
  reader: Stream | undefined;
}

/** Chance that a transaction is rolled back. */
const ROLLED_BACK = 0.1;
/** Milliseconds from a commit until its rows may be shown: it may wait for a replica. */
const SHOWN_AFTER = [0, 0, 3, 50, 200] as const;
/** Chance that an answer takes a step of its own. */
const LATE_ANSWER = 0.3;

export function isVisible(xid: number, { xmin, xmax, running }: Snapshot): boolean {
  return xid < xmin || (xid < xmax && !running.has(xid));
}

/**
 * The source of a fed cache. As in PostgreSQL a commit has three steps: it is in the log, those who read the log hear of it,
 * readers see it; the last two in any order.
 */
export class Database {
  readonly #world: World;
  readonly #running = new Set<number>();
  readonly #log: Transaction[] = [];
  /** Rows whose writer has not ended: others wait for it. */
  readonly #locked = new Set<number>();
  /** Of each row, when its versions became visible; the first at 1. */
  readonly #shown: number[][];
  #slot: Slot | undefined;
  #epoch = 0;
  #lastXid = 0;

  constructor(world: World, rows: number) {
    this.#world = world;
    this.#shown = Array.from({ length: rows }, () => [Number.NEGATIVE_INFINITY]);
  }

  /** Whether all that has begun has ended. */
  get isQuiet(): boolean {
    return this.#running.size === 0;
  }

  get lsn(): number {
    return this.#log.length;
  }

  /** Whether nobody sees it yet. */
  isRunning({ xid }: Transaction): boolean {
    return this.#running.has(xid);
  }

  isLocked(row: number): boolean {
    return this.#locked.has(row);
  }

  /** A transaction has written rows; its commit comes later, or it is rolled back. */
  begin(writer: Instance, rows: readonly number[], manner: number): Transaction {
    this.#lastXid += 1;
    const transaction: Transaction = { xid: this.#lastXid, rows, manner, lsn: 0 };
    this.#running.add(transaction.xid);
    for (const row of rows) this.#locked.add(row);
    const isRolledBack = this.#world.random.chance(ROLLED_BACK);
    this.#step(writer, `${isRolledBack ? "rolls back" : "commits"} ${transaction.xid}`, () => {
      if (isRolledBack) this.#end(transaction);
      else this.#commit(writer, transaction);
    });
    return transaction;
  }

  /** Asks it something for the feed of a process: answered in one step, or in two. */
  ask<T>(owner: Instance, name: string, answer: () => T): Promise<T> {
    const { network, random } = this.#world;
    return new Promise((resolve) => {
      const step = (run: () => void): void => network.add({ kind: "feed", name, owner, shard: 0, run });
      step(() => {
        const answered = answer();
        if (random.chance(LATE_ANSWER)) step(() => resolve(answered));
        else resolve(answered);
      });
    });
  }

  facts(): Facts {
    return { lsn: this.lsn, snapshot: this.snapshot(), isFree: this.#slot?.reader === undefined };
  }

  snapshot(): Snapshot {
    const xmax = this.#lastXid + 1;
    return { xmin: Math.min(xmax, ...this.#running), xmax, running: new Set(this.#running) };
  }

  /** Begins to read the slot from where it stands; `undefined` when another does. One that is missing is made: at the end of the log. */
  read(owner: Instance, listener: Listener): Stream | undefined {
    if (this.#slot?.reader !== undefined) return undefined;
    if (this.#slot === undefined) {
      this.#epoch += 1;
      this.#slot = { epoch: this.#epoch, confirmed: this.lsn, reader: undefined };
    }
    const { confirmed, epoch } = this.#slot;
    this.#world.tell(`${owner.process} reads slot ${epoch} from ${confirmed}`);
    const stream = new Stream(this.#world, owner, listener, this.#log, confirmed, epoch);
    this.#slot.reader = stream;
    stream.goOn();
    return stream;
  }

  /** The reader says that everything up to here has come to all tiers: it need not be told again. */
  acknowledge(stream: Stream, lsn: number): void {
    const slot = this.#slot;
    if (slot?.reader === stream) slot.confirmed = Math.max(slot.confirmed, lsn);
  }

  /** The connection of whoever reads the slot is cut; he learns of it in time. */
  cutOff(): void {
    const stream = this.#slot?.reader;
    if (stream === undefined || this.#slot === undefined) return;
    this.#world.tell(`${stream.owner.process} is cut off from its slot`);
    this.#slot.reader = undefined;
    stream.close();
  }

  /** The slot is gone: what it had yet to tell is told by nobody. */
  loseSlot(): void {
    this.#world.tell("the slot is lost");
    this.cutOff();
    this.#slot = undefined;
  }

  /** A process is gone: in time the server notices that nobody reads any more. */
  died(owner: Instance): void {
    const stream = this.#slot?.reader;
    if (stream?.owner !== owner) return;
    this.#step(owner, "notices that nobody reads", () => {
      if (this.#slot?.reader === stream) this.cutOff();
    });
  }

  /** The version of the row that was visible before that time. */
  versionBefore(time: number, row: number): number {
    return (this.#shown[row] as readonly number[]).findLastIndex((at) => at < time) + 1;
  }

  /** For how long at that time a version has not been the newest any more; 0 when it is. */
  staleness(row: number, version: number, time: number): number {
    return Math.max(0, time - (this.#shown[row]?.[version] ?? time));
  }

  #commit(writer: Instance, transaction: Transaction): void {
    this.#log.push(transaction);
    transaction.lsn = this.lsn;
    const { clock, random } = this.#world;
    const show = (): void => this.#step(writer, `shows ${transaction.xid}`, () => this.#show(transaction));
    const wait = random.pick(SHOWN_AFTER);
    if (wait === 0) show();
    else clock.after(wait, show);
    this.#slot?.reader?.goOn();
  }

  #show(transaction: Transaction): void {
    const { model, clock } = this.#world;
    this.#end(transaction);
    for (const row of transaction.rows) {
      model.raise(row);
      (this.#shown[row] as number[]).push(clock.now());
    }
  }

  #end({ xid, rows }: Transaction): void {
    this.#running.delete(xid);
    for (const row of rows) this.#locked.delete(row);
  }

  /** What the database does by itself: it does not need whoever has asked for it any more. */
  #step(owner: Instance, name: string, run: () => void): void {
    this.#world.network.add({ kind: "database", name, owner, shard: 0, run });
  }
}

/** A connection on which the database tells what its log has had since: one thing after the other, in the order of commits. */
export class Stream {
  readonly owner: Instance;
  readonly epoch: number;
  /** Where it began. */
  readonly from: number;
  readonly #world: World;
  readonly #listener: Listener;
  readonly #log: readonly Transaction[];
  #position: number;
  #isAsked = false;
  #isSending = false;
  #isClosed = false;
  #isEnded = false;

  constructor(
    world: World,
    owner: Instance,
    listener: Listener,
    log: readonly Transaction[],
    from: number,
    epoch: number,
  ) {
    this.#world = world;
    this.owner = owner;
    this.#listener = listener;
    this.#log = log;
    this.from = from;
    this.#position = from;
    this.epoch = epoch;
  }

  /** Its reader knows that nothing comes any more. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  close(): void {
    this.#isClosed = true;
    this.#step("learns that it reads no more", () => {
      this.#isEnded = true;
    });
  }

  /** Has the server say how far it has sent everything. */
  askReply(): void {
    this.#isAsked = true;
    this.goOn();
  }

  /** There may be more to send. */
  goOn(): void {
    if (this.#isSending || this.#isClosed) return;
    if (this.#position === this.#log.length && !this.#isAsked) return;
    this.#isSending = true;
    this.#step("is told", () => {
      this.#isSending = false;
      if (this.#isClosed) return;
      this.#send();
      this.goOn();
    });
  }

  #send(): void {
    const transaction = this.#log[this.#position];
    if (transaction === undefined) {
      this.#isAsked = false;
      this.#listener.reached(this.#position);
      return;
    }
    this.#position += 1;
    this.#world.tell(`${this.owner.process} hears of ${transaction.xid}`);
    this.#listener.hear(transaction);
  }

  #step(name: string, run: () => void): void {
    if (this.owner.isAlive) this.#world.network.add({ kind: "feed", name, owner: this.owner, shard: 0, run });
  }
}

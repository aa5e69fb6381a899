import { CacheError } from "../errors.js";
import type { Head, LogRecord, Mark } from "../invalidation/record.js";
import { contended, type HeadItem, type LogHead } from "./head.js";
import type { Items } from "./items.js";
import type { Layout } from "./layout.js";
import type { Records } from "./records.js";
import { RememberedMarks, type MarkBounds } from "./remembered.js";
import type { RecordBody } from "../invalidation/mark-text.js";
import { isControl } from "./wire.js";

/** After so many records that move marks, the marks are stored whole again. */
const SNAPSHOT_EVERY = 32;
const MAX_TRIES = 500;
/** How often an append asks for the head although it was seen of late, which gives others a turn. */
const YIELDS = 1 / 8;
/** Appends of one process that may wait for one another. */
const MAX_WAITING = 10_000;

/**
 * The log of a cache, and what follows from it. For implementers:
 *
 * - A record is appended by one compare-and-set of the head, which takes it in. Its writer first gives the record that was
 *   in the head an item of its own: from the head, so that all who do write the same.
 * - Marks are what the records say that hold them, applied in order; a process that appends such a record or is asked for marks
 *   keeps them, and reads those records only that it has not applied. Now and then they are stored whole, for processes
 *   that come later; the head names the newest such *snapshot* that is known to be stored.
 * - The floor is in the head, so forgetting a mark and raising it is one step.
 * - Lost is what was evicted. A record: `since` does not reach back. A record or snapshot that the marks need: a new generation
 *   begins, so entries miss where they would otherwise come back from the dead.
 * - Appends of one process go one after the other, as each compares with what the one before has set.
 */
export class Log {
  readonly #items: Items;
  readonly #layout: Layout;
  readonly #head: HeadItem;
  readonly #records: Records;
  readonly #bounds: MarkBounds;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #remembered: { generation: string; controls: number; marks: RememberedMarks } | undefined;
  /** The newest snapshot of this process, which the head may name from now on. */
  #snapshot = { generation: "", controls: 0 };

  constructor(init: { items: Items; layout: Layout; head: HeadItem; records: Records; bounds: MarkBounds }) {
    this.#items = init.items;
    this.#layout = init.layout;
    this.#head = init.head;
    this.#records = init.records;
    this.#bounds = init.bounds;
  }

  /** @throws CacheError `ERR_CACHE_TIER` also when too many wait, or others were faster too often. */
  async append(body: RecordBody): Promise<LogHead> {
    const tail = await this.#records.tailOf(body);
    return this.#inTurn(() => this.#append(body, tail));
  }

  async since(
    position: number,
    limit: number,
  ): Promise<{ records: readonly LogRecord[] | undefined; head: Head; oldest?: number | undefined }> {
    const now = await this.#head.read();
    const head = headOf(now);
    if (position === now.position) return { records: [], head };
    const records = await this.#records.after(now, position, limit);
    return records === undefined ? { records, head, oldest: await this.#records.wholeAfter(now) } : { records, head };
  }

  /** When each mark was moved. */
  marks(marks: readonly Mark[]): Promise<readonly { hard: number; soft: number }[]> {
    return this.#inTurn(async () => {
      const { head, remembered } = await this.#current();
      const floor = Math.max(head.floor, remembered.floor);
      return marks.map((mark) => ({
        hard: Math.max(floor, remembered.position(mark, false)),
        soft: remembered.position(mark, true),
      }));
    });
  }

  rules(): Promise<readonly { mark: Mark; hard: number; soft: number }[]> {
    return this.#inTurn(async () => (await this.#current()).remembered.rules());
  }

  async #append(body: RecordBody, tail: string): Promise<LogHead> {
    const control = isControl(body.marks);
    // Who has just set the head knows it a round trip sooner than all others, and would go on to be the first for ever.
    let seen = Math.random() < YIELDS ? undefined : this.#head.last;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const head = seen ?? (await this.#head.read());
      seen = undefined;
      const remembered = control ? await this.#reach(head) : undefined;
      if (control && remembered === undefined) continue;
      // Sent before the head moves on; one that fails leaves a record missing, which is found where it matters.
      const settled = this.#records.settle(head).catch(() => undefined);
      const advancing = this.#head.advance(this.#next(head, body, tail, remembered));
      // Asked at once for the next try, should this one be late as the last was.
      const following = tries === 0 ? undefined : this.#head.look().catch(() => undefined);
      const [advanced, next] = await Promise.all([advancing, following, settled]);
      if (advanced !== undefined) {
        if (remembered !== undefined) this.#moved(head, advanced, body, remembered);
        return advanced;
      }
      seen = next;
    }
    throw contended();
  }

  #next(head: LogHead, body: RecordBody, tail: string, remembered: RememberedMarks | undefined): LogHead {
    const position = head.position + 1;
    if (remembered === undefined) return { ...head, position, tail };
    const { generation, controls } = this.#snapshot;
    return {
      ...head,
      position,
      tail,
      control: position,
      controls: head.controls + 1,
      floor: Math.max(head.floor, remembered.floorAfter(body, position)),
      snapshot: generation === head.generation ? Math.max(head.snapshot, controls) : head.snapshot,
    };
  }

  /** A record of this process moved marks. */
  #moved(before: LogHead, head: LogHead, body: RecordBody, marks: RememberedMarks): void {
    marks.apply(body, head.position);
    this.#remembered = { generation: head.generation, controls: head.controls, marks };
    // In the background: nobody waits for it, and what does not succeed is tried again by the next who appends.
    if (head.snapshot > before.snapshot) this.#tidy(before, head).catch(() => undefined);
    const own = this.#snapshot;
    if (own.generation === head.generation && own.controls < head.snapshot) {
      // Another's was newer, so nobody will read this process's.
      this.#snapshot = { generation: "", controls: 0 };
      this.#items.remove(this.#layout.marks(own.generation, own.controls)).catch(() => undefined);
    }
    const newest = own.generation === head.generation ? own.controls : 0;
    if (head.controls - Math.max(newest, head.snapshot) < SNAPSHOT_EVERY) return;
    this.#inTurn(() => this.#store()).catch(() => undefined);
  }

  /** Stores the marks whole. */
  async #store(): Promise<void> {
    const remembered = this.#remembered;
    if (remembered === undefined) return;
    const { generation, controls, marks } = remembered;
    const key = this.#layout.marks(generation, controls);
    if ((await this.#items.store(key, Buffer.from(marks.encode()), { ttl: 0 })) === undefined) return;
    this.#snapshot = { generation, controls };
  }

  async #tidy(before: LogHead, head: LogHead): Promise<void> {
    if (before.snapshot > 0) await this.#items.remove(this.#layout.marks(before.generation, before.snapshot));
    await this.#records.forgetControls(head, before.snapshot + 1, head.snapshot);
  }

  /** The marks of now. */
  async #current(): Promise<{ head: LogHead; remembered: RememberedMarks }> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const head = await this.#head.read();
      const remembered = await this.#reach(head);
      if (remembered !== undefined) return { head, remembered };
    }
    throw contended();
  }

  /**
   * The marks as of a head; `undefined` when another head has to be asked for: what was needed is gone, and either
   * the head knows so by now, or a generation was begun because of it.
   */
  async #reach(head: LogHead): Promise<RememberedMarks | undefined> {
    const from = await this.#base(head);
    const records = from && (await this.#records.controls(head, from.controls + 1));
    if (from === undefined || records === undefined) {
      const now = await this.#head.read();
      if (now.generation === head.generation && now.snapshot === head.snapshot) await this.#head.replace(now);
      return undefined;
    }
    for (const { position, body } of records) from.marks.apply(body, position);
    this.#remembered = { generation: head.generation, controls: head.controls, marks: from.marks };
    return from.marks;
  }

  /** What is remembered of that generation, no later than the head. */
  async #base(head: LogHead): Promise<{ controls: number; marks: RememberedMarks } | undefined> {
    const own = this.#remembered;
    if (own?.generation === head.generation && own.controls >= head.snapshot && own.controls <= head.controls)
      return own;
    if (head.snapshot === 0) return { controls: 0, marks: new RememberedMarks(this.#bounds) };
    const item = await this.#items.value(this.#layout.marks(head.generation, head.snapshot));
    if (item === undefined) return undefined;
    const { value } = item;
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
    const marks = RememberedMarks.decode(text, this.#bounds);
    return marks && { controls: head.snapshot, marks };
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) {
      return Promise.reject(new CacheError("ERR_CACHE_TIER", `${MAX_WAITING} appends wait for the server already`));
    }
    this.#waiting += 1;
    const result = this.#queue.then(act);
    // The next waits for the end of this one, however it ends; its failure is its caller's.
    const ended = (): void => void (this.#waiting -= 1);
    this.#queue = result.then(ended, ended);
    return result;
  }
}

/** The three numbers of it. */
export function headOf({ position, control, floor }: Head): Head {
  return { position, control, floor };
}

import { randomBytes } from "node:crypto";
import { CacheError } from "../errors.js";
import type { Head } from "../invalidation/record.js";
import type { Item, Items, Version } from "./items.js";

/**
 * Where the log of a cache stands: the one item on which its order rests. For implementers:
 *
 * - It changes only by compare-and-set, so its versions are the log. Within a *generation* positions are dense: the next is
 *   the last one + 1.
 * - A generation begins where there is no head (an empty server, a flush, an evicted item), none that can be read, or
 *   one of a past that this process knows to be over. Its beginner *adds* an item, so one of many does, and the item
 *   names no position: the start is when the server was started, in microseconds, plus the item's own CAS value, which
 *   counts all writes of the server since. So in one life of the server a start is above everything given before: each
 *   position of an older generation took a write of its own, and all of those are counted in the start. After a restart
 *   it is above as long as there were fewer than a million writes a second. No clock of a client is in it.
 * - Should the server's clock have gone back over a restart, or its last life have been shorter than a second: whoever
 *   knows a newer position than the head's replaces it by a generation that starts above what it knows. And entries name
 *   the generation they belong to, so none of another is ever believed, whatever its position.
 */
export interface LogHead extends Head, Version {
  readonly generation: string;
  /** The generation's start. */
  readonly start: number;
  /** Records so far that hold anything but keys. */
  readonly controls: number;
  /** After how many of those the marks were last stored whole; 0 for never. */
  readonly snapshot: number;
  /**
   * The newest record: its text, `*` with what names its parts, or "" for none. A record gets an item of its own when
   * the next is appended, so whoever writes it writes what all agree on.
   */
  readonly tail: string;
}

/** Tries before a head that changes all the time is given up. */
const MAX_TRIES = 200;

export class HeadItem {
  readonly #items: Items;
  readonly #key: string;
  /** The newest position this process has seen. */
  #known = 0;
  #last: LogHead | undefined;

  constructor(items: Items, key: string) {
    this.#items = items;
    this.#key = key;
  }

  /** The head as it was last seen, for a compare-and-set that may succeed. */
  get last(): LogHead | undefined {
    return this.#last?.epoch === this.#items.epoch ? this.#last : undefined;
  }

  /** The head, or `undefined` where none is to be believed. */
  async look(): Promise<LogHead | undefined> {
    const item = await this.#items.get(this.#key);
    return item && this.#believed(item);
  }

  /** The head; begins a generation when there is none. */
  async read(): Promise<LogHead> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const item = await this.#items.get(this.#key);
      const head =
        item === undefined ? await this.#begin(undefined) : (this.#believed(item) ?? (await this.#begin(item)));
      if (head !== undefined) return head;
    }
    throw contended();
  }

  /** Begins a generation in place of one of which something was lost. */
  async replace(head: LogHead): Promise<void> {
    await this.#begin(head);
  }

  /** Sets the next head; `undefined` when another was set meanwhile. */
  async advance(next: LogHead): Promise<LogHead | undefined> {
    const version = await this.#items.store(this.#key, Buffer.from(encodeHead(next)), { ttl: 0, over: next });
    if (version === undefined) {
      this.#last = undefined;
      return undefined;
    }
    return this.#saw({ ...next, ...version });
  }

  async #begin(over: Version | undefined): Promise<LogHead | undefined> {
    const begun = {
      generation: randomBytes(8).toString("base64url"),
      base: await this.#items.started(),
      above: this.#known,
    };
    const text = Buffer.from(`1 ${begun.generation} ${begun.base} ${begun.above}`);
    const version = await this.#items.store(
      this.#key,
      text,
      over === undefined ? { ttl: 0, add: true } : { ttl: 0, over },
    );
    if (version === undefined) return undefined;
    const head = startOf(begun, version);
    if (head === undefined) throw new CacheError("ERR_CACHE_TIER", `No position is above ${begun.above}`);
    return this.#saw(head);
  }

  #believed(item: Item): LogHead | undefined {
    const head = parseHead(item);
    // Answers come in the order in which the server gave them, so an older head after a newer is another history.
    return head === undefined || head.position < this.#known ? undefined : this.#saw(head);
  }

  #saw(head: LogHead): LogHead {
    this.#known = Math.max(this.#known, head.position);
    this.#last = head;
    return head;
  }
}

export function contended(): CacheError {
  return new CacheError("ERR_CACHE_TIER", "Another process was faster too many times in a row");
}

/** `2 generation start position control floor controls snapshot tail`. */
function encodeHead(head: LogHead): string {
  const { generation, start, position, control, floor, controls, snapshot, tail } = head;
  return `2 ${generation} ${start} ${position} ${control} ${floor} ${controls} ${snapshot} ${tail}`;
}

/** `undefined` for what is none of ours. */
function parseHead(item: Item): LogHead | undefined {
  const { value, cas, epoch } = item;
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
  const begun = /^1 ([\w-]{11}) (\d{1,16}) (\d{1,16})$/.exec(text);
  if (begun !== null) {
    return startOf({ generation: begun[1] ?? "", base: Number(begun[2]), above: Number(begun[3]) }, item);
  }
  const match = /^2 ([\w-]{11})((?: \d{1,16}){6}) ([^]*)$/.exec(text);
  const numbers = (match?.[2] ?? "").trim().split(" ").map(Number);
  if (match === null || !numbers.every(Number.isSafeInteger)) return undefined;
  const [start = 0, position = 0, control = 0, floor = 0, controls = 0, snapshot = 0] = numbers;
  if (Math.max(start, control, floor) > position || snapshot > controls) return undefined;
  return {
    generation: match[1] ?? "",
    start,
    position,
    control,
    floor,
    controls,
    snapshot,
    tail: match[3] ?? "",
    cas,
    epoch,
  };
}

/** `1 generation base above`. */
interface Begun {
  readonly generation: string;
  readonly base: number;
  readonly above: number;
}

function startOf({ generation, base, above }: Begun, { cas, epoch }: Version): LogHead | undefined {
  const start = Math.max(base + Number(cas), above + 1);
  if (!Number.isSafeInteger(start)) return undefined;
  return {
    generation,
    start,
    position: start,
    control: start,
    floor: start,
    controls: 0,
    snapshot: 0,
    tail: "",
    cas,
    epoch,
  };
}

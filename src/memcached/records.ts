import { CacheError } from "../errors.js";
import type { LogRecord } from "../invalidation/record.js";
import type { LogHead } from "./head.js";
import type { Items } from "./items.js";
import type { Layout } from "./layout.js";
import { MAX_LENGTH, type Parts } from "./parts.js";
import type { RecordBody } from "../invalidation/mark-text.js";
import { encodeBody, isControl, parseBody } from "./wire.js";

/** A record longer than this is not in the head, which every read brings along; bytes. */
const MAX_INLINE = 400;
/** Seconds after which a record nobody asked for is forgotten. */
const RECORD_TTL = 86_400;
/** Items asked for at once. */
const PAGE = 1_000;

/** The records of a log that are not in its head any more. */
export class Records {
  readonly #items: Items;
  readonly #layout: Layout;
  readonly #parts: Parts;
  readonly #length: number;

  /** @param length how many are kept, about. */
  constructor(items: Items, layout: Layout, parts: Parts, length: number) {
    this.#items = items;
    this.#layout = layout;
    this.#parts = parts;
    this.#length = length;
  }

  /**
   * The text by which a record goes into the head.
   *
   * @throws CacheError `ERR_CACHE_TIER` for one too long to be stored at all.
   */
  async tailOf(body: RecordBody): Promise<string> {
    const text = encodeBody(body);
    const bytes = Buffer.from(text);
    if (bytes.length <= MAX_INLINE) return text;
    if (bytes.length > MAX_LENGTH) {
      throw new CacheError("ERR_CACHE_TIER", `One record holds at most ${MAX_LENGTH} bytes, got ${bytes.length}`);
    }
    // Marks are told by such records until they are stored whole, which may take for ever.
    return `*${await this.#parts.write(bytes, isControl(body.marks) ? 0 : RECORD_TTL)} ${bytes.length}`;
  }

  /**
   * Begins to store the newest record of a head outside of it, so that the head may go on. What does not succeed is
   * found missing by whoever needs it.
   */
  settle(head: LogHead): Promise<unknown> {
    const { generation, position, control, controls, tail } = head;
    if (tail === "") return Promise.resolve();
    const text = Buffer.from(tail);
    const layout = this.#layout;
    const stored: Promise<unknown>[] = [
      this.#items.store(layout.record(generation, position), text, { ttl: RECORD_TTL, add: true }),
      this.#items.remove(layout.record(generation, position - this.#length)),
    ];
    if (control === position) {
      const bytes = Buffer.from(`${position} ${tail}`);
      stored.push(this.#items.store(layout.control(generation, controls), bytes, { ttl: 0, add: true }));
    }
    return Promise.all(stored);
  }

  /** The records after a position, at most so many; `undefined` where one is missing. */
  async after(head: LogHead, position: number, limit: number): Promise<LogRecord[] | undefined> {
    if (position < head.start || position > head.position) return undefined;
    const last = Math.min(head.position, position + limit);
    const records: LogRecord[] = [];
    for (let from = position + 1; from <= last; from += PAGE) {
      const count = Math.min(PAGE, last + 1 - from);
      const bodies = await Promise.all(Array.from({ length: count }, (_, index) => this.#body(head, from + index)));
      for (const [index, body] of bodies.entries()) {
        if (body === undefined) return undefined;
        records.push({ position: from + index, previous: from + index - 1, ...body });
      }
    }
    return records;
  }

  /** A position after which no record is missing, as far back as one look reaches; `undefined` where the newest is. */
  async wholeAfter({ generation, start, position, tail }: LogHead): Promise<number | undefined> {
    if (tail === "") return undefined;
    const first = Math.max(start + 1, position - PAGE);
    const older = Array.from({ length: position - first }, (_, index) => position - 1 - index);
    const kinds = await Promise.all(older.map((at) => this.#items.kind(this.#layout.record(generation, at))));
    const missing = kinds.indexOf(undefined);
    return missing === -1 ? first - 1 : older[missing];
  }

  /** The records that hold anything but keys, by their number: from the first to the head's last; `undefined` where one is missing. */
  async controls(head: LogHead, first: number): Promise<{ position: number; body: RecordBody }[] | undefined> {
    const records: { position: number; body: RecordBody }[] = [];
    for (let from = first; from <= head.controls; from += PAGE) {
      const count = Math.min(PAGE, head.controls + 1 - from);
      const found = await Promise.all(Array.from({ length: count }, (_, index) => this.#control(head, from + index)));
      for (const record of found) {
        if (record === undefined) return undefined;
        records.push(record);
      }
    }
    return records;
  }

  /** Removes those whose marks are stored whole by now; what is left of them is in nobody's way. */
  forgetControls({ generation }: LogHead, first: number, last: number): Promise<unknown> {
    const removed: Promise<unknown>[] = [];
    for (let count = first; count <= last; count++) {
      removed.push(this.#items.remove(this.#layout.control(generation, count)));
    }
    return Promise.all(removed);
  }

  async #body(head: LogHead, position: number): Promise<RecordBody | undefined> {
    if (position === head.position) return this.#bodyOf(head.tail);
    const item = await this.#items.value(this.#layout.record(head.generation, position));
    return item && this.#bodyOf(textOf(item.value));
  }

  async #control(head: LogHead, count: number): Promise<{ position: number; body: RecordBody } | undefined> {
    if (count === head.controls && head.control === head.position && head.tail !== "") {
      const body = await this.#bodyOf(head.tail);
      return body && { position: head.position, body };
    }
    const item = await this.#items.value(this.#layout.control(head.generation, count));
    const match = /^(\d{1,16}) ([^]*)$/.exec(item === undefined ? "" : textOf(item.value));
    const body = match === null ? undefined : await this.#bodyOf(match[2] ?? "");
    return body && { position: Number(match?.[1]), body };
  }

  async #bodyOf(tail: string): Promise<RecordBody | undefined> {
    const large = /^\*([\w-]{16}) (\d{1,8})$/.exec(tail);
    if (large === null) return parseBody(tail);
    const length = Number(large[2]);
    const bytes = length > MAX_LENGTH ? undefined : await this.#parts.read(large[1] ?? "", length);
    return bytes && parseBody(textOf(bytes));
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

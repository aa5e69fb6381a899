import { randomBytes } from "node:crypto";
import { CacheError } from "../errors.js";
import type { LargeValue, StoredValue } from "../tiers/shared.js";
import { asBuffer, type Connection } from "./connection.js";
import type { Layout } from "./layout.js";
import type { OwnConnection } from "./own.js";
import { UPLOAD } from "./scripts.js";
import { listOf } from "./store.js";
import { textOf } from "./wire.js";

/*
 * Large values, stored in parts: while a server sends or takes one of many megabytes, everybody else on that connection
 * waits, so they travel 64 KB at a time and on a connection of their own. For implementers:
 *
 * - Beside the entry's key there is a hash: its parts under their numbers, and an id made for this upload. The entry's key
 *   holds a *manifest*, so a batch of reads carries a hundred bytes for each large value and none of its parts:
 *
 *     0  72  the first bytes of the value, among them the soft-stale flag and the stamp where scripts look for them, with
 *            the reserved flag 1 << 4 set in byte 16: an earlier release takes it for an entry of a later one, a miss
 *     72  4  the value's length, u32, little-endian
 *     76  4  byte 16 as it was, and three of zero
 *     80 16  the id, text
 *     96  8  "#parts01"
 *
 *   A value that happens to look like one is stored in parts itself, however short.
 * - Parts are uploaded under a key of their own, which is forgotten when no more come, and put in their place by the
 *   script that stores the manifest. So a refused fill leaves the old parts alone, and nothing is ever read half-written.
 * - Each part is read together with the id. Another id, no part or one of another length: the value is not there any more.
 */

/** Bytes of a part: what others may have to wait for. */
const PART_LENGTH = 65_536;
/** Bytes; a string of Redis holds twice as much. */
export const MAX_VALUE = 268_435_456;
/** How long an upload may stand still; milliseconds. */
const UPLOAD_TTL = "60000";
/** A script says the time to live anew; as it costs twice what storing a part does, only so often. */
const PARTS_PER_SCRIPT = 16;

const HEAD_LENGTH = 72;
const FLAG_OFFSET = 16;
const FLAG_PARTS = 1 << 4;
const SIZE_OFFSET = 72;
const FLAG_BYTE_OFFSET = 76;
const ID_OFFSET = 80;
const END_OFFSET = 96;
const END = "#parts01";
const MANIFEST_LENGTH = 104;

/** What is stored in an entry's key, and the upload that becomes its parts. */
export interface Staged {
  readonly bytes: Uint8Array;
  /** The upload's key as the scripts' connection names it, if there is one. */
  readonly uploads: readonly [] | readonly [key: string];
  /** The upload's id, or "". */
  readonly id: string;
}

export class Parts {
  readonly #layout: Layout;
  readonly #above: number;
  readonly #open: () => { readonly own: OwnConnection; readonly layout: Layout };
  #opened: { readonly own: OwnConnection; readonly layout: Layout } | undefined;
  #closed = false;

  /**
   * @param layout of the connection that runs the scripts.
   * @param above values of more bytes are stored in parts.
   * @param open connects for the first large value, with the layout by that connection.
   */
  constructor(layout: Layout, above: number, open: () => { readonly own: OwnConnection; readonly layout: Layout }) {
    this.#layout = layout;
    this.#above = above;
    this.#open = open;
  }

  /**
   * Makes a value ready to be stored.
   *
   * @throws CacheError `ERR_CACHE_VALUE` for one larger than any entry may be.
   */
  async stage(path: string, value: Uint8Array): Promise<Staged> {
    if (value.length <= this.#above && !isManifest(value)) return { bytes: value, uploads: [], id: "" };
    if (value.length > MAX_VALUE) {
      throw new CacheError(
        "ERR_CACHE_VALUE",
        `Expected an entry of at most ${MAX_VALUE} bytes, got one of ${value.length}`,
      );
    }
    const id = randomBytes(12).toString("base64url");
    await this.#upload(path, id, value);
    return { bytes: manifestOf(value, id), uploads: [this.#layout.upload(path, id)], id };
  }

  /** What the bytes of an entry's key stand for. */
  stored(path: string, bytes: Uint8Array): StoredValue {
    return isManifest(bytes) ? this.#large(path, Uint8Array.from(bytes)) : bytes;
  }

  close(): void {
    this.#closed = true;
    this.#opened?.own.close();
    this.#opened = undefined;
  }

  #large(path: string, manifest: Uint8Array): LargeValue {
    const size = viewOf(manifest).getUint32(SIZE_OFFSET, true);
    const head = manifest.slice(0, HEAD_LENGTH);
    head[FLAG_OFFSET] = manifest[FLAG_BYTE_OFFSET] as number;
    const id = asBuffer(manifest).toString("latin1", ID_OFFSET, END_OFFSET);
    return { size, head, fetch: () => this.#fetch(path, id, size, head) };
  }

  async #upload(path: string, id: string, value: Uint8Array): Promise<void> {
    const { connection, layout } = await this.#connected();
    const key = layout.upload(path, id);
    for (let at = 0, number = 0; at < value.length; at += PART_LENGTH, number += 1) {
      const part = value.subarray(at, at + PART_LENGTH);
      if (number % PARTS_PER_SCRIPT > 0) {
        await connection.send("HSET", key, [String(number), part]);
      } else if (Number(await connection.run(UPLOAD, [key], [id, String(number), part, UPLOAD_TTL])) !== 1) {
        throw new CacheError("ERR_CACHE_TIER", "The parts of a large value were lost while they were uploaded");
      }
    }
  }

  async #fetch(path: string, id: string, size: number, head: Uint8Array): Promise<Uint8Array | undefined> {
    const { connection, layout } = await this.#connected();
    const key = layout.parts(path);
    // Made when the first part is there: what a manifest claims costs nothing by itself.
    let value: Uint8Array | undefined;
    for (let at = 0, number = 0; at < size; at += PART_LENGTH, number += 1) {
      const part = await partOf(connection, key, id, number);
      if (part?.length !== Math.min(PART_LENGTH, size - at)) return undefined;
      value ??= Buffer.allocUnsafeSlow(size);
      value.set(part, at);
    }
    return value !== undefined && takeHead(value, head) ? value : undefined;
  }

  async #connected(): Promise<{ readonly connection: Connection; readonly layout: Layout }> {
    if (this.#closed) throw new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed");
    if (this.#opened?.own.isOver() === true) this.#opened = undefined;
    const opened = (this.#opened ??= this.#open());
    try {
      await opened.own.standing;
    } catch (error) {
      // The next value tries anew.
      opened.own.close();
      if (this.#opened === opened) this.#opened = undefined;
      throw error;
    }
    return { connection: opened.own.connection, layout: opened.layout };
  }
}

/** One part, if it is of this upload. */
async function partOf(
  connection: Connection,
  key: string,
  id: string,
  number: number,
): Promise<Uint8Array | undefined> {
  let reply: readonly unknown[];
  try {
    reply = listOf(await connection.send("HMGET", key, ["id", String(number)]));
  } catch (error) {
    // Somebody else's key is where the parts were.
    if (error instanceof Error && error.message.startsWith("WRONGTYPE")) return undefined;
    throw error;
  }
  const [of, part] = reply;
  return part instanceof Uint8Array && textOf(of) === id ? part : undefined;
}

/** Gives a fetched value the flag that was read with its head; false when it is another's head. */
function takeHead(value: Uint8Array, head: Uint8Array): boolean {
  value[3] = head[3] as number;
  return asBuffer(value.subarray(0, HEAD_LENGTH)).equals(head);
}

function manifestOf(value: Uint8Array, id: string): Uint8Array {
  const manifest = new Uint8Array(MANIFEST_LENGTH);
  manifest.set(value.subarray(0, HEAD_LENGTH));
  const flags = manifest[FLAG_OFFSET] as number;
  manifest[FLAG_OFFSET] = flags | FLAG_PARTS;
  viewOf(manifest).setUint32(SIZE_OFFSET, value.length, true);
  manifest[FLAG_BYTE_OFFSET] = flags;
  manifest.set(new TextEncoder().encode(id + END), ID_OFFSET);
  return manifest;
}

function isManifest(bytes: Uint8Array): boolean {
  if (bytes.length !== MANIFEST_LENGTH || ((bytes[FLAG_OFFSET] as number) & FLAG_PARTS) === 0) return false;
  const size = viewOf(bytes).getUint32(SIZE_OFFSET, true);
  return size >= HEAD_LENGTH && size <= MAX_VALUE && asBuffer(bytes).toString("latin1", END_OFFSET) === END;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

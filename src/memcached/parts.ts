import { randomBytes } from "node:crypto";
import { CacheError } from "../errors.js";
import type { LargeValue } from "../tiers/shared.js";
import type { Items } from "./items.js";
import type { Layout } from "./layout.js";

/*
 * What is too large for one item is cut into parts, each an item of its own under a new random id, written before
 * whatever names the id and never changed afterwards. So a reader gets all of what was written, or nothing: memcached may
 * forget any part. Parts that nobody names any more go when their time is over.
 *
 * An entry's *manifest* stands in its place:
 *
 *   0   12 the first bytes of the entry, among them the soft-stale flag and the stamp
 *   12  4  the entry's length, u32, little-endian
 *   16  16 the id, text
 */

/** Bytes of a part: half of what an item may be, which leaves room for a server's own use of it. */
export const PART_LENGTH = 524_288;
/** Bytes of the largest entry, or record. */
export const MAX_LENGTH = 33_554_432;

const HEAD_LENGTH = 12;
const ID_OFFSET = 16;
const MANIFEST_LENGTH = 32;
/** Seconds that parts are kept longer than what names them. */
const GRACE = 60;

export class Parts {
  readonly #items: Items;
  readonly #layout: Layout;

  constructor(items: Items, layout: Layout) {
    this.#items = items;
    this.#layout = layout;
  }

  /**
   * Stores bytes in parts, under the id it returns.
   *
   * @param ttl seconds; 0 for as long as there is room.
   * @throws CacheError `ERR_CACHE_VALUE` for more than may be.
   */
  async write(bytes: Uint8Array, ttl: number): Promise<string> {
    if (bytes.length > MAX_LENGTH) {
      throw new CacheError("ERR_CACHE_VALUE", `Expected at most ${MAX_LENGTH} bytes, got ${bytes.length}`);
    }
    const id = randomBytes(12).toString("base64url");
    const stored: Promise<unknown>[] = [];
    for (let at = 0; at < bytes.length; at += PART_LENGTH) {
      const part = bytes.subarray(at, at + PART_LENGTH);
      stored.push(
        this.#items.store(this.#layout.part(id, at / PART_LENGTH), part, { ttl: ttl === 0 ? 0 : ttl + GRACE }),
      );
    }
    await Promise.all(stored);
    return id;
  }

  /** All of it, or `undefined` where any part is missing. */
  async read(id: string, length: number): Promise<Uint8Array | undefined> {
    const count = Math.ceil(length / PART_LENGTH);
    const parts = await Promise.all(
      Array.from({ length: count }, (_, index) => this.#items.value(this.#layout.part(id, index))),
    );
    const bytes = new Uint8Array(length);
    for (const [index, part] of parts.entries()) {
      const at = index * PART_LENGTH;
      if (part === undefined || part.value.length !== Math.min(PART_LENGTH, length - at)) return undefined;
      bytes.set(part.value, at);
    }
    return bytes;
  }

  /** What is stored in place of an entry, which is the entry itself unless it is large. */
  async stage(entry: Uint8Array, ttl: number): Promise<{ readonly entry: Uint8Array; readonly manifest: boolean }> {
    if (entry.length <= PART_LENGTH) return { entry, manifest: false };
    // Before the first wait: the caller's bytes are its own again when the promise is settled, and no sooner.
    const manifest = Buffer.alloc(MANIFEST_LENGTH);
    manifest.set(entry.subarray(0, HEAD_LENGTH));
    manifest.writeUInt32LE(entry.length, HEAD_LENGTH);
    manifest.write(await this.write(entry, ttl), ID_OFFSET, "latin1");
    return { entry: manifest, manifest: true };
  }

  /**
   * What a manifest stands for; `undefined` for one that is not whole.
   *
   * @param now gives the manifest that is stored when it is asked: parts outlive what names them.
   */
  large(manifest: Uint8Array, now: () => Promise<Uint8Array | undefined>): LargeValue | undefined {
    const named = parseManifest(manifest);
    if (named === undefined) return undefined;
    const { id, size } = named;
    return {
      size,
      head: manifest.slice(0, HEAD_LENGTH),
      fetch: async () => {
        // Sent in this order, so what is read of the parts is of the time at which they were named, or later: the same.
        const asked = now();
        const [current, bytes] = await Promise.all([asked, this.read(id, size)]);
        if (current === undefined || bytes === undefined || parseManifest(current)?.id !== id) return undefined;
        bytes.set(current.subarray(0, HEAD_LENGTH));
        return bytes;
      },
    };
  }
}

function parseManifest(bytes: Uint8Array): { readonly id: string; readonly size: number } | undefined {
  if (bytes.length !== MANIFEST_LENGTH) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = buffer.readUInt32LE(HEAD_LENGTH);
  const id = buffer.toString("latin1", ID_OFFSET, MANIFEST_LENGTH);
  return size <= MAX_LENGTH && /^[\w-]{16}$/.test(id) ? { id, size } : undefined;
}

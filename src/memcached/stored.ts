import { CacheError } from "../errors.js";

/*
 * What is in the item of a key: an entry, the lease on it, or both. Numbers are little-endian.
 *
 *   0   2  magic 74 6d
 *   2   1  flags: 1 a lease is held, 2 an entry is there, 4 it is a manifest (parts.ts)
 *   3   11 the generation of the log it belongs to, text
 *   14     with a lease: u8 length of the token, the token (UTF-8), u32 the seconds that will be left of the item's time
 *          to live when the lease ends
 *          the entry
 *
 * The end of a lease is told by the server's clock alone: the item's time to live counts down to it. Without an
 * entry the item is forgotten when the lease ends.
 */

/** Who may load a key. */
export interface Holder {
  readonly token: string;
  /** The lease is over when so many seconds are left of the item's time to live. */
  readonly endsAt: number;
}

export interface Stored {
  readonly generation: string;
  readonly holder: Holder | undefined;
  /** The entry's bytes, or its manifest; a view. */
  readonly entry: Uint8Array | undefined;
  readonly manifest: boolean;
}

/** Which kind an item is stored as, so that it can be told without its value: another number is none of ours. */
export const KIND_LEASE = 1;
/** Bytes too short to have a stamp. */
export const KIND_SCRAP = 2;
export const KIND_ENTRY = 3;

/** Characters of a generation's name. */
const GENERATION_LENGTH = 11;
/** Where an entry's bytes say that it is soft-stale, and where its stamp is. */
const FLAG = 3;
const STAMP = 4;
const STAMP_END = 12;

const MAGIC_0 = 0x74;
const MAGIC_1 = 0x6d;
const HELD = 1;
const ENTRY = 2;
const MANIFEST = 4;
const HEADER_LENGTH = 3 + GENERATION_LENGTH;
/** Bytes of a token. */
const MAX_TOKEN_LENGTH = 255;

export function encodeStored({ generation, holder, entry, manifest }: Stored): Uint8Array {
  const token = holder === undefined ? undefined : Buffer.from(holder.token);
  if (token !== undefined && token.length > MAX_TOKEN_LENGTH) {
    throw new CacheError(
      "ERR_CACHE_TIER",
      `Expected a token of at most ${MAX_TOKEN_LENGTH} bytes, got ${token.length}`,
    );
  }
  const before = HEADER_LENGTH + (token === undefined ? 0 : token.length + 5);
  const bytes = Buffer.allocUnsafe(before + (entry?.length ?? 0));
  bytes[0] = MAGIC_0;
  bytes[1] = MAGIC_1;
  bytes[2] = (token === undefined ? 0 : HELD) | (entry === undefined ? 0 : ENTRY) | (manifest ? MANIFEST : 0);
  bytes.write(generation, 3, GENERATION_LENGTH, "latin1");
  if (token !== undefined) {
    bytes[HEADER_LENGTH] = token.length;
    bytes.set(token, HEADER_LENGTH + 1);
    bytes.writeUInt32LE(holder?.endsAt ?? 0, before - 4);
  }
  if (entry !== undefined) bytes.set(entry, before);
  return bytes;
}

/** `undefined` for bytes that are none of ours. */
export function decodeStored(bytes: Uint8Array): Stored | undefined {
  const flags = bytes[2] ?? 0;
  if (bytes.length < HEADER_LENGTH || bytes[0] !== MAGIC_0 || bytes[1] !== MAGIC_1 || flags > 7) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const generation = buffer.toString("latin1", 3, HEADER_LENGTH);
  let at = HEADER_LENGTH;
  let holder: Holder | undefined;
  if ((flags & HELD) !== 0) {
    const length = bytes[at] ?? 0;
    const end = at + 1 + length;
    if (end + 4 > bytes.length) return undefined;
    holder = { token: buffer.toString("utf8", at + 1, end), endsAt: buffer.readUInt32LE(end) };
    at = end + 4;
  }
  const entry = (flags & ENTRY) === 0 ? undefined : bytes.subarray(at);
  return { generation, holder, entry, manifest: (flags & MANIFEST) !== 0 };
}

export function kindOf(entry: Uint8Array | undefined): number {
  if (entry === undefined) return KIND_LEASE;
  return isWhole(entry) ? KIND_ENTRY : KIND_SCRAP;
}

/** Whether bytes are long enough to have a flag and a stamp. */
export function isWhole(entry: Uint8Array): boolean {
  return entry.length >= STAMP_END;
}

export function isSoftStale(entry: Uint8Array): boolean {
  return entry[FLAG] === 1;
}

/** Sets the soft-stale flag in place, where there is one. */
export function setSoftStale(entry: Uint8Array): void {
  if (isWhole(entry)) entry[FLAG] = 1;
}

/** The stamp, or what bytes cut short have of one. */
export function hasStamp(entry: Uint8Array, stamp: Uint8Array): boolean {
  const own = entry.subarray(STAMP, STAMP_END);
  return own.length === stamp.length && own.every((byte, index) => byte === stamp[index]);
}

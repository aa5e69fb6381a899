import { randomFillSync } from "node:crypto";
import { crc32 } from "node:zlib";
import { CacheError } from "../errors.js";
import { copyBytes } from "./codec/data.js";
import { decodeValues, encodeValues, type DecodeOptions } from "./codec/codec.js";
import type { EntryFields } from "./entry.js";

/*
 * The bytes of an entry in a shared tier, format version 1. Numbers are little-endian.
 *
 *   0   2  magic 74 c5: no text begins so (c5 opens a UTF-8 sequence that 01 does not continue)
 *   2   1  format version, 1
 *   3   1  soft-stale: 0 or 1. The tier sets it in place, so it is outside the checksum
 *   4   8  stamp: different for every fill
 *   12  4  checksum: CRC-32 of bytes 16 to the end, continued over bytes 0–2 and 4–11
 *   16  4  flags: 1 sliding, 2 it has an etag, 4 compressed, 8 encrypted
 *   20  4  fingerprint, u32
 *   24  8  created, float64: wall-clock milliseconds
 *   32  8  ttl                    ┐
 *   40  8  staleWhileRevalidate   │ float64, milliseconds
 *   48  8  staleIfError           │
 *   56  8  loadCost               ┘
 *   64  8  position, float64: an integer
 *   72     the body
 *
 * A plain body is one codec sequence (codec/format.ts): tags (array of text), etag (text, if its flag is set), value.
 * A compressed one is a block (compress.ts) that holds this sequence. An encrypted one (encrypt.ts) holds either all of what it
 * would be otherwise, compressed or not, or some of the value's fields with the tags and the etag:
 *
 *   all:     72  head of the encryption | encrypted: sequence or block | 16 bytes tag
 *   fields:  72  head of the encryption | open part: its length, then the value with `undefined` in the place of each
 *            encrypted field, as a sequence of one or (flag 4) a block | encrypted: tags, etag, object of the
 *            fields, one sequence | 16 bytes tag
 *
 * Shared tiers rely on bytes 3 and 4–11 being what and where they are, in every version. The checksum tells torn
 * and mixed-up bytes; it is no protection against somebody who means it (a CRC can be made to fit): decoding is safe
 * for any bytes, and keeping others from writing entries is the work of encryption, whose tag covers everything but
 * byte 3 and the checksum. An encrypted entry has the checksum all the same, over what is stored: it costs a sixth of a
 * microsecond for a KB, whoever has no key can tell a torn entry by it, and who has one can tell torn from forged.
 *
 * Flag 16 is reserved for a list of chunks stored under other keys. A reader that does not know a flag takes the entry for
 * one of a newer version: a miss.
 */

/** A tier may set this byte of a stored envelope to 1: the entry is stale from then on. */
export const SOFT_STALE_OFFSET: number = 3;
/** Where a tier finds the stamp it compares. */
export const STAMP_OFFSET: number = 4;
export const STAMP_LENGTH: number = 8;

const MAGIC_0 = 0x74;
const MAGIC_1 = 0xc5;
const VERSION = 1;
export const CHECKSUM_OFFSET: number = 12;
/** Where what the checksum covers goes on behind it. */
export const COVERED_OFFSET: number = 16;
const FLAGS_OFFSET = 16;
/** Where the body begins. */
export const HEADER_LENGTH: number = 72;

const FLAG_SLIDING = 1 << 0;
const FLAG_ETAG = 1 << 1;
export const FLAG_COMPRESSED: number = 1 << 2;
export const FLAG_ENCRYPTED: number = 1 << 3;
const TRANSFORMED = FLAG_COMPRESSED | FLAG_ENCRYPTED;
const KNOWN_FLAGS = FLAG_SLIDING | FLAG_ETAG | TRANSFORMED;

/** An entry as read from a shared tier. */
export interface Envelope extends EntryFields {
  /** When it was filled, in wall-clock milliseconds of the process that did. */
  readonly createdWall: number;
  /** It was invalidated softly since. */
  readonly softStale: boolean;
}

/**
 * The bytes of an entry for a shared tier, not soft-stale, with a plain body.
 *
 * @param createdWall wall-clock milliseconds of its creation.
 * @throws CacheError `ERR_CACHE_VALUE` when the value cannot be stored, or a field has what no entry has (a stamp of another
 *   length, a negative time).
 */
export function encodeEnvelope(fields: EntryFields, createdWall: number): Uint8Array {
  const bytes = encodeBody(fields, createdWall);
  const view = viewOf(bytes);
  writeHeader(bytes, fields, createdWall, 0, view);
  writeChecksum(bytes, view);
  return bytes;
}

/** A plain body behind room for its header. @throws CacheError as `encodeEnvelope` does. */
export function encodeBody(fields: EntryFields, createdWall: number): Uint8Array {
  checkFields(fields, createdWall);
  const { tags, etag, value } = fields;
  return encodeValues(HEADER_LENGTH, etag === undefined ? [tags, value] : [tags, etag, value]);
}

/** @throws CacheError `ERR_CACHE_VALUE` when a field has what no entry has. */
export function checkFields(fields: EntryFields, createdWall: number): void {
  if (fields.stamp.length === STAMP_LENGTH && isPossible(fields, createdWall)) return;
  throw new CacheError(
    "ERR_CACHE_VALUE",
    "Expected a stamp of 8 bytes, times of 0 or more and an integer fingerprint and position",
  );
}

/** Writes all of the header but the checksum. `flags` says what was made of the body. */
export function writeHeader(
  bytes: Uint8Array,
  fields: EntryFields,
  createdWall: number,
  flags: number,
  view: DataView = viewOf(bytes),
): void {
  bytes[0] = MAGIC_0;
  bytes[1] = MAGIC_1;
  bytes[2] = VERSION;
  bytes[SOFT_STALE_OFFSET] = 0;
  bytes.set(fields.stamp, STAMP_OFFSET);
  view.setUint32(
    FLAGS_OFFSET,
    flags | (fields.sliding ? FLAG_SLIDING : 0) | (fields.etag === undefined ? 0 : FLAG_ETAG),
    true,
  );
  view.setUint32(20, fields.fingerprint, true);
  view.setFloat64(24, createdWall, true);
  view.setFloat64(32, fields.ttl, true);
  view.setFloat64(40, fields.staleWhileRevalidate, true);
  view.setFloat64(48, fields.staleIfError, true);
  view.setFloat64(56, fields.loadCost, true);
  view.setFloat64(64, fields.position, true);
}

/** The last thing done to an entry's bytes. */
export function writeChecksum(bytes: Uint8Array, view: DataView = viewOf(bytes)): void {
  view.setUint32(CHECKSUM_OFFSET, checksumOf(bytes), true);
}

/**
 * The entry in these bytes, whose body is plain. Nothing in it shares memory with them, so they may be a pooled buffer's.
 *
 * @throws CacheError `ERR_CACHE_CORRUPT` for anything but a whole plain entry of this format version: foreign, torn, changed in
 *   any bit (but the soft-stale flag's), compressed, encrypted, or written by a newer release.
 */
export function decodeEnvelope(bytes: Uint8Array, options?: DecodeOptions): Envelope {
  const view = viewOf(bytes);
  const flags = checkedFlags(bytes, view);
  if ((flags & TRANSFORMED) !== 0) throw unreadable("a compressed or encrypted one where only a plain one is read");
  return asEnvelope(bytes, flags, decodeValues(bytes, HEADER_LENGTH, countOf(flags), options), view);
}

/** Whether the body is said to be plain, whatever else these bytes are. */
export function isPlain(bytes: Uint8Array): boolean {
  return ((bytes[FLAGS_OFFSET] ?? 0) & TRANSFORMED) === 0;
}

/** The entry whose header begins `header` and whose plain body is `body`. */
export function decodeBody(header: Uint8Array, flags: number, body: Uint8Array): Envelope {
  return asEnvelope(header, flags, decodeValues(body, 0, countOf(flags)));
}

/** How many values the sequence of a plain body has. */
export function countOf(flags: number): number {
  return (flags & FLAG_ETAG) === 0 ? 2 : 3;
}

/** The entry of a header and of what its body says: tags, perhaps an etag, the value. */
export function asEnvelope(
  header: Uint8Array,
  flags: number,
  parts: readonly unknown[],
  view: DataView = viewOf(header),
): Envelope {
  const hasEtag = (flags & FLAG_ETAG) !== 0;
  const tags = parts[0];
  const etag = hasEtag ? parts[1] : undefined;
  if (!isTexts(tags) || (hasEtag && typeof etag !== "string")) throw corrupt("tags or an etag that are not text");
  const envelope = {
    value: parts[parts.length - 1],
    stamp: copyBytes(header.subarray(STAMP_OFFSET, STAMP_OFFSET + STAMP_LENGTH)),
    ttl: view.getFloat64(32, true),
    staleWhileRevalidate: view.getFloat64(40, true),
    staleIfError: view.getFloat64(48, true),
    loadCost: view.getFloat64(56, true),
    position: view.getFloat64(64, true),
    tags,
    fingerprint: view.getUint32(20, true),
    // Checked above: text where its flag is set.
    etag: etag as string | undefined,
    sliding: (flags & FLAG_SLIDING) !== 0,
    createdWall: view.getFloat64(24, true),
    softStale: header[SOFT_STALE_OFFSET] === 1,
  };
  if (!isPossible(envelope, envelope.createdWall)) throw corrupt("a time or position that no entry has");
  return envelope;
}

/** The stamp of an envelope, copied; `undefined` for bytes too short to have one or not an envelope of any version. */
export function stampOf(bytes: Uint8Array): Uint8Array | undefined {
  if (!isOurs(bytes)) return undefined;
  return copyBytes(bytes.subarray(STAMP_OFFSET, STAMP_OFFSET + STAMP_LENGTH));
}

/** Whether these are the bytes of an entry that was invalidated softly. */
export function isSoftStale(bytes: Uint8Array): boolean {
  return isOurs(bytes) && bytes[SOFT_STALE_OFFSET] === 1;
}

/**
 * A stamp that no other fill has: 6 random bytes and a count of 2.
 *
 * The random part belongs to this process (and thread) and is drawn anew every 65,536 stamps. The first is
 * drawn at the first use and not at load, so that processes started from one snapshot do not share it: this
 * is the one thing the module remembers.
 */
export const newStamp: () => Uint8Array = stamps();

function stamps(): () => Uint8Array {
  const random = new Uint8Array(STAMP_LENGTH - 2);
  let count = 0x1_0000;
  return () => {
    if (count > 0xffff) {
      randomFillSync(random);
      count = 0;
    }
    const stamp = new Uint8Array(STAMP_LENGTH);
    stamp.set(random);
    stamp[6] = count & 0xff;
    stamp[7] = count >>> 8;
    count++;
    return stamp;
  };
}

/**
 * The flags of a whole entry of this format version.
 *
 * @throws CacheError `ERR_CACHE_CORRUPT` for any other bytes, as far as their header and checksum tell.
 */
export function checkedFlags(bytes: Uint8Array, view: DataView = viewOf(bytes)): number {
  if (!isOurs(bytes)) throw corrupt("foreign bytes");
  if (bytes[2] !== VERSION) throw unreadable(`format version ${bytes[2]}, and this release reads version ${VERSION}`);
  if (bytes.length < HEADER_LENGTH) throw corrupt("too few bytes");
  if ((bytes[SOFT_STALE_OFFSET] as number) > 1) throw corrupt("a soft-stale flag that is neither 0 nor 1");
  if (view.getUint32(CHECKSUM_OFFSET, true) !== checksumOf(bytes))
    throw corrupt("bytes that do not match their checksum");
  const flags = view.getUint32(FLAGS_OFFSET, true);
  if ((flags & ~KNOWN_FLAGS) !== 0) throw unreadable("flags of a newer release");
  return flags;
}

function isOurs(bytes: Uint8Array): boolean {
  return bytes.length >= STAMP_OFFSET + STAMP_LENGTH && bytes[0] === MAGIC_0 && bytes[1] === MAGIC_1;
}

function checksumOf(bytes: Uint8Array): number {
  // A checksum is continued from the last, so the long part needs no copy: the header's pieces are joined behind it.
  const header = new Uint8Array(11);
  for (let i = 0; i < 3; i++) header[i] = bytes[i] as number;
  for (let i = 0; i < STAMP_LENGTH; i++) header[3 + i] = bytes[STAMP_OFFSET + i] as number;
  return crc32(header, crc32(bytes.subarray(COVERED_OFFSET)));
}

function isPossible(fields: EntryFields, createdWall: number): boolean {
  return (
    Number.isFinite(createdWall) &&
    fields.ttl >= 0 &&
    fields.staleWhileRevalidate >= 0 &&
    fields.staleIfError >= 0 &&
    fields.loadCost >= 0 &&
    fields.position >= 0 &&
    Number.isSafeInteger(fields.position) &&
    fields.fingerprint === fields.fingerprint >>> 0
  );
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The error for bytes that are no entry; says what they are instead. */
export function corrupt(what: string, cause?: unknown): CacheError {
  return new CacheError(
    "ERR_CACHE_CORRUPT",
    `Expected an entry's bytes, got ${what}`,
    cause === undefined ? undefined : { cause },
  );
}

/** As the cause of a refusal: the entry is whole, as far as is known, and other processes may read it. */
const READ_BY_OTHERS = "others may read it";

/** The error for an entry of a newer format, or made with a key or an algorithm that this process has not. */
export function unreadable(what: string): CacheError {
  return corrupt(what, READ_BY_OTHERS);
}

/** Whether it is to be left where it is: while a deploy or a change of keys rolls, others read it well. */
export function isReadByOthers(error: unknown): boolean {
  return error instanceof CacheError && error.cause === READ_BY_OTHERS;
}

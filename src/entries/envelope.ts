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
 *   16  4  flags
 *   20  4  fingerprint, u32
 *   24  8  created, float64: wall-clock milliseconds
 *   32  8  ttl                    ┐
 *   40  8  staleWhileRevalidate   │ float64, milliseconds
 *   48  8  staleIfError           │
 *   56  8  loadCost               ┘
 *   64  8  position, float64: an integer
 *   72     tags (array of text), etag (text, if its flag is set), value: one codec sequence (codec/format.ts)
 *
 * Shared tiers rely on bytes 3 and 4–11 being what and where they are, in every version. The checksum tells torn
 * and mixed-up bytes; it is no protection against somebody who means it (a CRC can be made to fit): decoding is safe
 * for any bytes, and keeping others from writing entries is the work of encryption.
 *
 * Compression, encryption and chunks will each set a reserved flag and change what follows byte 72. A reader that
 * does not know a flag takes the entry for one of a newer version: a miss.
 */

/** A tier may set this byte of a stored envelope to 1: the entry is stale from then on. */
export const SOFT_STALE_OFFSET: number = 3;
/** Where a tier finds the stamp it compares. */
export const STAMP_OFFSET: number = 4;
export const STAMP_LENGTH: number = 8;

const MAGIC_0 = 0x74;
const MAGIC_1 = 0xc5;
const VERSION = 1;
const CHECKSUM_OFFSET = 12;
const COVERED_OFFSET = 16;
const HEADER_LENGTH = 72;

const FLAG_SLIDING = 1 << 0;
const FLAG_ETAG = 1 << 1;
/*
 * Reserved: 1 << 2 the part from byte 72 on is compressed, 1 << 3 it is encrypted, 1 << 4 it is a list of chunks
 * stored under other keys.
 */
const KNOWN_FLAGS = FLAG_SLIDING | FLAG_ETAG;

/** An entry as read from a shared tier. */
export interface Envelope extends EntryFields {
  /** When it was filled, in wall-clock milliseconds of the process that did. */
  readonly createdWall: number;
  /** It was invalidated softly since. */
  readonly softStale: boolean;
}

/**
 * The bytes of an entry for a shared tier, not soft-stale.
 *
 * @param createdWall wall-clock milliseconds of its creation.
 * @throws CacheError `ERR_CACHE_VALUE` when the value cannot be stored, or a field has what no entry has (a stamp of another
 *   length, a negative time).
 */
export function encodeEnvelope(fields: EntryFields, createdWall: number): Uint8Array {
  const parts = fields.etag === undefined ? [fields.tags, fields.value] : [fields.tags, fields.etag, fields.value];
  if (fields.stamp.length !== STAMP_LENGTH || !isPossible(fields, createdWall)) {
    throw new CacheError(
      "ERR_CACHE_VALUE",
      "Expected a stamp of 8 bytes, times of 0 or more and an integer fingerprint and position",
    );
  }
  const bytes = encodeValues(HEADER_LENGTH, parts);
  const view = viewOf(bytes);
  bytes[0] = MAGIC_0;
  bytes[1] = MAGIC_1;
  bytes[2] = VERSION;
  bytes[SOFT_STALE_OFFSET] = 0;
  bytes.set(fields.stamp, STAMP_OFFSET);
  view.setUint32(16, (fields.sliding ? FLAG_SLIDING : 0) | (fields.etag === undefined ? 0 : FLAG_ETAG), true);
  view.setUint32(20, fields.fingerprint, true);
  view.setFloat64(24, createdWall, true);
  view.setFloat64(32, fields.ttl, true);
  view.setFloat64(40, fields.staleWhileRevalidate, true);
  view.setFloat64(48, fields.staleIfError, true);
  view.setFloat64(56, fields.loadCost, true);
  view.setFloat64(64, fields.position, true);
  view.setUint32(CHECKSUM_OFFSET, checksumOf(bytes), true);
  return bytes;
}

/**
 * The entry in these bytes. Nothing in it shares memory with them, so they may be a pooled buffer's.
 *
 * @throws CacheError `ERR_CACHE_CORRUPT` for anything but a whole entry of this format version: foreign, torn, changed in any
 *   bit (but the soft-stale flag's), or written by a newer release.
 */
export function decodeEnvelope(bytes: Uint8Array, options?: DecodeOptions): Envelope {
  const view = viewOf(bytes);
  const flags = checkedFlags(bytes, view);
  const hasEtag = (flags & FLAG_ETAG) !== 0;
  const parts = decodeValues(bytes, HEADER_LENGTH, hasEtag ? 3 : 2, options);
  const tags = parts[0];
  const etag = hasEtag ? parts[1] : undefined;
  if (!isTexts(tags) || (hasEtag && typeof etag !== "string")) throw corrupt("tags or an etag that are not text");
  const envelope = {
    value: parts[parts.length - 1],
    stamp: copyBytes(bytes.subarray(STAMP_OFFSET, STAMP_OFFSET + STAMP_LENGTH)),
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
    softStale: bytes[SOFT_STALE_OFFSET] === 1,
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

function checkedFlags(bytes: Uint8Array, view: DataView): number {
  if (!isOurs(bytes)) throw corrupt("foreign bytes");
  if (bytes[2] !== VERSION) throw corrupt(`format version ${bytes[2]}, and this release reads version ${VERSION}`);
  if (bytes.length < HEADER_LENGTH) throw corrupt("too few bytes");
  if ((bytes[SOFT_STALE_OFFSET] as number) > 1) throw corrupt("a soft-stale flag that is neither 0 nor 1");
  if (view.getUint32(CHECKSUM_OFFSET, true) !== checksumOf(bytes))
    throw corrupt("bytes that do not match their checksum");
  const flags = view.getUint32(16, true);
  if ((flags & ~KNOWN_FLAGS) !== 0) throw corrupt("flags of a newer release");
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

function corrupt(what: string): CacheError {
  return new CacheError("ERR_CACHE_CORRUPT", `Expected an entry's bytes, got ${what}`);
}

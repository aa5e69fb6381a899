import { CacheError } from "../errors.js";

/** Slots of a Redis Cluster (Redis Cluster specification, "Key distribution model"). */
export const SLOTS = 16_384;

/** CRC-16/XMODEM by the byte: polynomial 0x1021, begins with 0, nothing reflected, nothing inverted. */
const CRC16: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

const SUFFIX_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** The slot of a key, or of a sharded channel: of its hash tag, if it has one that is not empty. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open);
  return crc16(close > open + 1 ? key.slice(open + 1, close) : key) % SLOTS;
}

/**
 * The hash tag of each shard, `3/16.k7x`: they are spread evenly over the slots, so each of a few masters with slots of
 * its own in a row gets as many shards as the others, or one more. The same for ever: stored keys hold them.
 *
 * A CRC is linear: three letters change the slot of any text before them by the same pattern of bits. So the
 * patterns are looked up once and each shard finds the letters that bring it to its place, or next to it.
 */
export function shardTags(shards: number): readonly string[] {
  const suffixes = suffixesByPattern();
  return Array.from({ length: shards }, (_, shard) => {
    const text = `${shard}/${shards}.`;
    const place = Math.floor(((shard + 0.5) * SLOTS) / shards);
    const unmoved = crc16(`${text}\0\0\0`);
    for (let distance = 0; distance < SLOTS; distance++) {
      const slot = (place + distance) % SLOTS;
      const suffix = suffixes[(slot ^ unmoved) % SLOTS];
      if (suffix !== undefined) return text + suffix;
    }
    throw new CacheError("ERR_CACHE_OPTION", "Expected some letters to reach a slot");
  });
}

/**
 * The shard that holds a key: FNV-1a over UTF-16 units, mixed by the finaliser of MurmurHash3 (FNV's low bits know only
 * the low bits of the text). Never to be changed: processes of all releases must agree where a key lives.
 */
export function shardOfPath(path: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % shards;
}

/** The first three letters for each pattern they make out of nothing. */
function suffixesByPattern(): readonly (string | undefined)[] {
  const suffixes = Array.from({ length: SLOTS }, (): string | undefined => undefined);
  for (const a of SUFFIX_LETTERS) {
    for (const b of SUFFIX_LETTERS) {
      for (const c of SUFFIX_LETTERS) suffixes[crc16(a + b + c) % SLOTS] ??= a + b + c;
    }
  }
  return suffixes;
}

function crc16(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ byte] ?? 0);
  return crc;
}

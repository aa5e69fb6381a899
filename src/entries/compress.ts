import { promisify } from "node:util";
import * as zlib from "node:zlib";

import type { CompressionAlgorithm, CompressionOptions } from "../options.js";
import { knownOptions, optionError } from "../policy.js";
import { toBytes } from "../tiers/memory/limits.js";
import { MAX_VALUE_BYTES } from "./codec/format.js";
import { corrupt, unreadable } from "./envelope.js";

/*
 * A compressed block:
 *
 *   0  1  algorithm: 1 DEFLATE (RFC 1951; without gzip's header and checksum, for the envelope has its own),
 *         2 Brotli (RFC 7932), 3 Zstandard (RFC 8878)
 *   1  4  length of what was compressed, u32
 *   5     compressed bytes, to the block's end
 *
 * The bytes may be anybody's: a few of them can claim to be gigabytes. Inflating stops at the announced length, which is
 * believed up to what a value may have at most, and memory is taken as the bytes come, not for what is announced.
 */

/** How a cache, or an entity, compresses what it stores. */
export interface Compression {
  readonly algorithm: CompressionAlgorithm;
  /** Bytes of a body from which it is tried. */
  readonly threshold: number;
}

/** The defaults, as data: the resolver reads them and a test compares them with the `@default` tags. */
export const COMPRESSION_DEFAULTS: { readonly algorithm: CompressionAlgorithm; readonly threshold: string } = {
  algorithm: "gzip",
  threshold: "8kb",
};

const HEAD = 5;
/** What is larger is compressed and inflated in Node's thread pool: here it would hold up everybody for a quarter of a millisecond. */
const MAX_SYNC = 65_536;
/** Compressed bytes are kept only if they are at most this share of the others: else each read would pay for nothing. */
const WORTH = 0.9;
/** Memory is taken in pieces of at most this. */
const MAX_PIECE = 1_048_576;

/**
 * `option` laid over `base`, field by field; `undefined` is no compression.
 *
 * @throws CacheError `ERR_CACHE_OPTION`
 */
export function resolveCompression(
  option: boolean | CompressionOptions | undefined,
  base: Compression | undefined,
): Compression | undefined {
  if (option === undefined) return base;
  if (option === false) return undefined;
  const said: unknown = option;
  if (said !== true && (typeof said !== "object" || said === null))
    throw optionError("compression", "true, false or an object", said);
  const options: CompressionOptions = option === true ? {} : option;
  knownOptions(options, ["threshold", "algorithm"], "compression");
  const algorithm = options.algorithm ?? base?.algorithm ?? COMPRESSION_DEFAULTS.algorithm;
  if (typeof algorithm !== "string" || !Object.hasOwn(IDS, algorithm))
    throw optionError("compression.algorithm", "gzip, brotli or zstd", algorithm);
  if (CODECS[IDS[algorithm]] === undefined)
    throw optionError("compression.algorithm", "gzip or brotli: this Node has no zstd (22.15 has)", algorithm);
  const threshold =
    options.threshold === undefined
      ? (base?.threshold ?? toBytes(COMPRESSION_DEFAULTS.threshold, "compression.threshold"))
      : toBytes(options.threshold, "compression.threshold");
  return { algorithm, threshold };
}

/** The block of these bytes, or `undefined` when it would not be much smaller. A promise for many bytes. */
export function compress(
  raw: Uint8Array,
  algorithm: CompressionAlgorithm,
): Uint8Array | undefined | Promise<Uint8Array | undefined> {
  const id = IDS[algorithm];
  const codec = CODECS[id];
  if (codec === undefined || raw.length > MAX_VALUE_BYTES) return undefined;
  const options = codec.options(raw.length);
  if (raw.length <= MAX_SYNC) return blockOf(id, raw.length, codec.compressSync(raw, options));
  return codec.compress(raw, options).then((compressed) => blockOf(id, raw.length, compressed));
}

/**
 * What a block was made of. A promise for many bytes, which must not change until then.
 *
 * @throws (or rejects with) CacheError `ERR_CACHE_CORRUPT`
 */
export function inflate(block: Uint8Array): Uint8Array | Promise<Uint8Array> {
  if (block.length <= HEAD) throw corrupt("a compressed entry with too few bytes");
  const id = block[0] as number;
  const codec = CODECS[id];
  if (codec === undefined) {
    const name = (Object.keys(IDS) as CompressionAlgorithm[]).find((one) => IDS[one] === id);
    throw unreadable(
      `an entry compressed with ${name === undefined ? "" : `${name}, `}algorithm ${id}, which this process cannot read`,
    );
  }
  const length = new DataView(block.buffer, block.byteOffset).getUint32(1, true);
  if (length === 0 || length > MAX_VALUE_BYTES) throw corrupt(`a compressed entry that claims to be ${length} bytes`);
  const compressed = block.subarray(HEAD);
  const options = { maxOutputLength: length, chunkSize: piece(length + 1) };
  if (length > MAX_SYNC || compressed.length > MAX_SYNC) {
    return codec.inflate(compressed, options).then(
      (raw) => checkedLength(raw, length),
      (error: unknown) => {
        throw uninflatable(error);
      },
    );
  }
  let raw: Uint8Array;
  try {
    raw = codec.inflateSync(compressed, options);
  } catch (error) {
    throw uninflatable(error);
  }
  return checkedLength(raw, length);
}

function blockOf(id: number, length: number, compressed: Uint8Array): Uint8Array | undefined {
  if (HEAD + compressed.length > length * WORTH) return undefined;
  const block = new Uint8Array(HEAD + compressed.length);
  block[0] = id;
  new DataView(block.buffer).setUint32(1, length, true);
  block.set(compressed, HEAD);
  return block;
}

function checkedLength(raw: Uint8Array, length: number): Uint8Array {
  if (raw.length !== length) throw corrupt("a compressed entry of another length than it claims");
  return raw;
}

function uninflatable(error: unknown): Error {
  return corrupt("compressed bytes that cannot be inflated", error);
}

/** A buffer zlib fills to the end makes it take another of the same size. */
function piece(length: number): number {
  return Math.max(64, Math.min(length, MAX_PIECE));
}

interface Bounds {
  readonly maxOutputLength: number;
  readonly chunkSize: number;
}

interface CompressOptions {
  readonly chunkSize: number;
  readonly level?: number;
  readonly params?: Record<number, number>;
}

interface Codec {
  /** The fastest setting: a cache writes about as often as it reads. */
  options(length: number): CompressOptions;
  compressSync(raw: Uint8Array, options: CompressOptions): Uint8Array;
  compress(raw: Uint8Array, options: CompressOptions): Promise<Uint8Array>;
  inflateSync(compressed: Uint8Array, bounds: Bounds): Uint8Array;
  inflate(compressed: Uint8Array, bounds: Bounds): Promise<Uint8Array>;
}

/** Stored: append only. */
const IDS: Readonly<Record<CompressionAlgorithm, number>> = { gzip: 1, brotli: 2, zstd: 3 };

const CODECS: Readonly<Record<number, Codec | undefined>> = {
  [IDS.gzip]: {
    options: (length) => ({ level: zlib.constants.Z_BEST_SPEED, chunkSize: piece(length) }),
    compressSync: zlib.deflateRawSync,
    compress: promisify<Uint8Array, CompressOptions, Uint8Array>(zlib.deflateRaw),
    inflateSync: zlib.inflateRawSync,
    inflate: promisify<Uint8Array, Bounds, Uint8Array>(zlib.inflateRaw),
  },
  [IDS.brotli]: {
    options: (length) => ({
      chunkSize: piece(length),
      params: {
        [zlib.constants.BROTLI_PARAM_QUALITY]: 1,
        [zlib.constants.BROTLI_PARAM_SIZE_HINT]: length,
      },
    }),
    compressSync: zlib.brotliCompressSync,
    compress: promisify<Uint8Array, CompressOptions, Uint8Array>(zlib.brotliCompress),
    inflateSync: zlib.brotliDecompressSync,
    inflate: promisify<Uint8Array, Bounds, Uint8Array>(zlib.brotliDecompress),
  },
  [IDS.zstd]: zstandard(),
};

type Callback = (error: Error | null, result: Uint8Array) => void;

/** What Node 22.15 added to `node:zlib`; not in the types of the oldest Node there is support for. */
interface Zstandard {
  readonly zstdCompressSync?: Codec["compressSync"];
  readonly zstdDecompressSync?: Codec["inflateSync"];
  readonly zstdCompress?: (raw: Uint8Array, options: CompressOptions, done: Callback) => void;
  readonly zstdDecompress?: (compressed: Uint8Array, options: Bounds, done: Callback) => void;
}

function zstandard(): Codec | undefined {
  const { zstdCompressSync, zstdDecompressSync, zstdCompress, zstdDecompress } = zlib as Zstandard;
  const constants: Readonly<Record<string, number | undefined>> = zlib.constants;
  const level = constants["ZSTD_c_compressionLevel"];
  if (level === undefined || !zstdCompressSync || !zstdDecompressSync || !zstdCompress || !zstdDecompress)
    return undefined;
  return {
    options: (length) => ({ chunkSize: piece(length), params: { [level]: 1 } }),
    compressSync: zstdCompressSync,
    compress: promisify(zstdCompress),
    inflateSync: zstdDecompressSync,
    inflate: promisify(zstdDecompress),
  };
}

import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { CacheError } from "../errors.js";
import type { StoredOperation } from "../write/journal.js";

/*
 * How a journal lies in the table. A key is a kind, the name of its log hashed, and what is of that kind; a value is a
 * checksum of key and value, then JSON, or of an operation a length, JSON, and the body.
 *
 * | kind | then        | holds                                                             |
 * | ---- | ----------- | ----------------------------------------------------------------- |
 * | 0    |             | the format of the file                                            |
 * | 1    |             | the state of the log: `LogState`                                  |
 * | 2    | position    | an operation                                                      |
 * | 3    | hashed key  | positions of what is pending of a key, its sum, its sealed sum    |
 * | 4    | position    | a letter                                                          |
 * | 5    | hashed opId | when an operation was appended, and its place among these         |
 * | 6    | place       | the hashed opId, the oldest first                                 |
 */
export const KIND = { format: 0, state: 1, operation: 2, pending: 3, letter: 4, opId: 5, opIdByAge: 6 } as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

export interface LogState {
  /** The last position given. */
  readonly last: number;
  readonly depth: number;
  readonly letters: number;
  /** Of the bodies of both. */
  readonly bytes: number;
  readonly generation: string | undefined;
  readonly seq: number;
  readonly settled: string | undefined;
  readonly sealed: { readonly batchId: string; readonly upTo: number } | undefined;
  /** The places of the oldest and the next id of an operation. */
  readonly oldestId: number;
  readonly nextId: number;
}

export interface PendingKey {
  readonly positions: readonly number[];
  readonly sum: number;
  readonly sealedSum: number;
}

export const NO_STATE: LogState = {
  last: 0,
  depth: 0,
  letters: 0,
  bytes: 0,
  generation: undefined,
  seq: 0,
  settled: undefined,
  sealed: undefined,
  oldestId: 0,
  nextId: 0,
};

const CRC = 4;
const LENGTH = 4;
const NAME = 16;
const POSITION = 8;

/** The keys of one log. */
export class JournalKeys {
  readonly #log: Uint8Array;

  constructor(name: string) {
    this.#log = nameOf(name);
  }

  state(): Uint8Array {
    return joined(KIND.state, this.#log);
  }

  named(kind: Kind, name: string): Uint8Array {
    return joined(kind, this.#log, nameOf(name));
  }

  placed(kind: Kind, place: number): Uint8Array {
    const bytes = Buffer.alloc(POSITION);
    bytes.writeDoubleBE(place);
    return joined(kind, this.#log, bytes);
  }
}

/** The key of the file's format. */
export const FORMAT_KEY: Uint8Array = Uint8Array.of(KIND.format);

export function encodeJson(key: Uint8Array, value: unknown): Uint8Array {
  return sealed(key, Buffer.from(JSON.stringify(value)));
}

/** @throws CacheError `ERR_CACHE_CORRUPT`. */
export function decodeJson<T>(key: Uint8Array, bytes: Uint8Array): T {
  // Under this kind of key nothing else is written, and the checksum says that it is whole.
  return JSON.parse(opened(key, bytes).toString()) as T;
}

/** An operation or a letter: `reason` with that. */
export function encodeStored(
  key: Uint8Array,
  { body, ...rest }: StoredOperation & { readonly reason?: string },
): Uint8Array {
  const text = Buffer.from(JSON.stringify(rest));
  const length = Buffer.alloc(LENGTH);
  length.writeUInt32BE(text.length);
  return sealed(key, Buffer.concat([length, text, body]));
}

/** @throws CacheError `ERR_CACHE_CORRUPT`. */
export function decodeStored<T extends StoredOperation>(key: Uint8Array, bytes: Uint8Array): T {
  const value = opened(key, bytes);
  const end = LENGTH + value.readUInt32BE();
  const rest = JSON.parse(value.subarray(LENGTH, end).toString()) as Omit<T, "body">;
  return { ...rest, body: Uint8Array.from(value.subarray(end)) } as T;
}

function sealed(key: Uint8Array, value: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(CRC + value.length);
  bytes.set(value, CRC);
  bytes.writeUInt32BE(crc32(value, crc32(key)));
  return bytes;
}

function opened(key: Uint8Array, bytes: Uint8Array): Buffer {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = all.subarray(CRC);
  if (all.length < CRC || crc32(value, crc32(key)) !== all.readUInt32BE()) {
    throw new CacheError("ERR_CACHE_CORRUPT", "The journal's file is damaged: a checksum does not fit");
  }
  return value;
}

function nameOf(text: string): Uint8Array {
  return hash("sha256", text, "buffer").subarray(0, NAME);
}

function joined(kind: Kind, ...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Uint8Array.of(kind), ...parts]);
}

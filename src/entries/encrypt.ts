import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes, type KeyObject } from "node:crypto";

import { CacheError } from "../errors.js";
import type { EncryptionKey, EncryptionOptions } from "../options.js";
import { knownOptions, optionError } from "../policy.js";
import {
  CHECKSUM_OFFSET,
  corrupt,
  COVERED_OFFSET,
  HEADER_LENGTH,
  SOFT_STALE_OFFSET,
  unreadable,
  writeChecksum,
} from "./envelope.js";

/*
 * AES-256-GCM (NIST SP 800-38D) over the body of an entry. Behind the entry's header lies the head of the encryption:
 *
 *   0     1  what is encrypted: 1 all of the body, 2 fields of the value
 *   1     1  length n of the key's id, 1–64
 *   2     n  the key's id, ASCII
 *   2+n  16  salt of the writer's subkey
 *   18+n  4  number of the message under that subkey, u32, from 0
 *
 * The subkey is HKDF-SHA-256 (RFC 5869) of the key's secret and the salt, with INFO. Each process (and thread, and cache) draws
 * a salt of its own at its first write and counts its messages; the IV is the count and eight zeroes. So no IV comes twice under
 * a subkey without anybody having to remember or agree on anything (SP 800-38D §8.2.1), which random IVs could only make
 * improbable, and only for 2^32 messages. A process draws a new salt after 2^24 messages: long before the count runs out,
 * and before much lies under one key. What breaks this is a process that is cloned after its first write (the snapshot
 * of a virtual machine started twice): both would count on.
 *
 * Authenticated with the ciphertext are the cache's name, the entry's key, and all bytes before the ciphertext but the
 * soft-stale flag, which tiers set, and the checksum, which is computed last. So an entry is not taken at another key, in another
 * cache, or with another time to live. What it does not keep from happening: who can write to the tier can remove an
 * entry, flag it stale, or put an older one of the same key back.
 */

/** How a cache encrypts. */
export interface Encryption {
  readonly keyring: Keyring;
  /** Entries of entities that say nothing, and of raw keys, too. */
  readonly all: boolean;
}

/** An entry's encrypted part, opened. */
export interface Opened {
  readonly plain: Uint8Array;
  /** The part beside it that is readable; `undefined` when all of the body was encrypted. */
  readonly open: Uint8Array | undefined;
}

const ALL = 1;
const SOME_FIELDS = 2;
const SECRET_LENGTH = 32;
const SALT_LENGTH = 16;
const COUNT_LENGTH = 4;
const IV_LENGTH = 12;
const TAG_LENGTH = 16;
const INFO = "tiercache entry AES-256-GCM";
const KEY_ID = /^[A-Za-z0-9._-]{1,64}$/;
/** Messages under one subkey. */
const MAX_MESSAGES = 2 ** 24;
/** Subkeys of other processes kept: one costs 10 µs to derive. */
const MAX_SUBKEYS = 1_024;

/** @throws CacheError `ERR_CACHE_OPTION`, which never shows a secret. */
export function resolveEncryption(cacheName: string, option: EncryptionOptions | undefined): Encryption | undefined {
  if (option === undefined) return undefined;
  knownOptions(option, ["keys", "entries"], "encryption");
  const { keys, entries }: { keys: unknown; entries?: unknown } = option;
  if (!Array.isArray(keys) || keys.length === 0)
    throw optionError("encryption.keys", "an array of at least one key", keys);
  if (entries !== undefined && entries !== "all" && entries !== "declared")
    throw optionError("encryption.entries", "declared or all", entries);
  return { keyring: new Keyring(cacheName, option.keys), all: entries === "all" };
}

/** The secret keys of a cache, and what they make of a body. */
export class Keyring {
  /** The cache's name as it is authenticated: its length and its bytes. */
  readonly #cacheName: Uint8Array;
  readonly #secrets: ReadonlyMap<string, KeyObject>;
  readonly #writingId: string;
  readonly #maxMessages: number;
  /** By id and salt, the longest unused first. */
  readonly #subkeys = new Map<string, KeyObject>();
  #writing: { readonly subkey: KeyObject; readonly salt: Uint8Array; count: number } | undefined;

  constructor(cacheName: string, keys: readonly EncryptionKey[], maxMessages: number = MAX_MESSAGES) {
    this.#cacheName = withLength(cacheName);
    const secrets = new Map<string, KeyObject>();
    for (const [index, key] of keys.entries()) {
      const option = `encryption.keys[${index}]`;
      knownOptions(key, ["id", "secret"], option);
      const id: unknown = key.id;
      if (typeof id !== "string" || !KEY_ID.test(id))
        throw optionError(`${option}.id`, "1 to 64 letters, digits, dots, underscores and hyphens", id);
      if (secrets.has(id)) throw optionError(`${option}.id`, "another id than every other key's", id);
      secrets.set(id, secretOf(key.secret, `${option}.secret`));
    }
    this.#secrets = secrets;
    this.#writingId = keys[0]?.id ?? "";
    this.#maxMessages = maxMessages;
  }

  /**
   * The bytes of an encrypted entry.
   *
   * @param header an entry's bytes that begin with its whole header, flags included.
   * @param open the part of the value that stays readable, when only fields are encrypted.
   */
  seal(path: string, header: Uint8Array, plain: Uint8Array, open: Uint8Array | undefined): Uint8Array {
    const id = this.#writingId;
    const writing = this.#nextMessage(id);
    const start = HEADER_LENGTH + 2 + id.length + SALT_LENGTH + COUNT_LENGTH;
    const end = start + (open === undefined ? 0 : 4 + open.length);
    const bytes = Buffer.allocUnsafe(end + plain.length + TAG_LENGTH);
    bytes.set(header.subarray(0, HEADER_LENGTH));
    bytes[HEADER_LENGTH] = open === undefined ? ALL : SOME_FIELDS;
    bytes[HEADER_LENGTH + 1] = id.length;
    bytes.write(id, HEADER_LENGTH + 2, "latin1");
    bytes.set(writing.salt, HEADER_LENGTH + 2 + id.length);
    bytes.writeUInt32LE(writing.count, start - COUNT_LENGTH);
    if (open !== undefined) {
      bytes.writeUInt32LE(open.length, start);
      bytes.set(open, start + 4);
    }
    const iv = ivOf(bytes.subarray(start - COUNT_LENGTH, start));
    const cipher = createCipheriv("aes-256-gcm", writing.subkey, iv, { authTagLength: TAG_LENGTH });
    cipher.setAAD(this.#authenticated(path, bytes.subarray(0, end)));
    bytes.set(cipher.update(plain), end);
    cipher.final();
    bytes.set(cipher.getAuthTag(), end + plain.length);
    writeChecksum(bytes);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** @throws CacheError `ERR_CACHE_CORRUPT` unless they were sealed, exactly so, for this key of this cache, with a key of this ring. */
  open(path: string, bytes: Uint8Array): Opened {
    const { id, salt, count, isWhole, start } = headOf(bytes);
    const secret = this.#secrets.get(id);
    if (secret === undefined)
      throw unreadable(`an entry encrypted with the key ${JSON.stringify(id)}, which this cache does not have`);
    const end = isWhole ? start : openEnd(bytes, start);
    const decipher = createDecipheriv("aes-256-gcm", this.#subkey(id, secret, salt), ivOf(count), {
      authTagLength: TAG_LENGTH,
    });
    decipher.setAAD(this.#authenticated(path, bytes.subarray(0, end)));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_LENGTH));
    const plain = decipher.update(bytes.subarray(end, bytes.length - TAG_LENGTH));
    try {
      decipher.final();
    } catch (cause) {
      throw corrupt(
        `an entry that the key ${JSON.stringify(id)} does not authenticate: changed, moved here, or encrypted with another secret of that id`,
        cause,
      );
    }
    return { plain, open: isWhole ? undefined : bytes.subarray(start + 4, end) };
  }

  #nextMessage(id: string): { readonly subkey: KeyObject; readonly salt: Uint8Array; readonly count: number } {
    if (this.#writing === undefined || this.#writing.count + 1 >= this.#maxMessages) {
      const salt = randomBytes(SALT_LENGTH);
      // Never undefined: the first key's id is one of the ring's.
      const subkey = this.#subkey(id, this.#secrets.get(id) as KeyObject, salt);
      this.#writing = { subkey, salt, count: -1 };
    }
    this.#writing.count += 1;
    return this.#writing;
  }

  #subkey(id: string, secret: KeyObject, salt: Uint8Array): KeyObject {
    const name = `${id}:${Buffer.from(salt.buffer, salt.byteOffset, salt.length).toString("latin1")}`;
    let subkey = this.#subkeys.get(name);
    if (subkey === undefined) {
      subkey = createSecretKey(new Uint8Array(hkdfSync("sha256", secret, salt, INFO, SECRET_LENGTH)));
      const [oldest] = this.#subkeys.keys();
      if (this.#subkeys.size >= MAX_SUBKEYS && oldest !== undefined) this.#subkeys.delete(oldest);
    } else {
      this.#subkeys.delete(name);
    }
    this.#subkeys.set(name, subkey);
    return subkey;
  }

  /** What is authenticated besides the ciphertext; each part's length is in it, so that no two say the same. */
  #authenticated(path: string, readable: Uint8Array): Uint8Array {
    const key = withLength(path);
    return Buffer.concat([
      this.#cacheName,
      key,
      readable.subarray(0, SOFT_STALE_OFFSET),
      readable.subarray(SOFT_STALE_OFFSET + 1, CHECKSUM_OFFSET),
      readable.subarray(COVERED_OFFSET),
    ]);
  }
}

interface Head {
  readonly id: string;
  readonly salt: Uint8Array;
  readonly count: Uint8Array;
  readonly isWhole: boolean;
  /** Where the head ends. */
  readonly start: number;
}

function headOf(bytes: Uint8Array): Head {
  const kind = bytes[HEADER_LENGTH];
  if (kind !== ALL && kind !== SOME_FIELDS) throw corrupt(`an entry encrypted in the unknown way ${kind}`);
  const idLength = bytes[HEADER_LENGTH + 1] ?? 0;
  const saltAt = HEADER_LENGTH + 2 + idLength;
  const start = saltAt + SALT_LENGTH + COUNT_LENGTH;
  if (bytes.length < start + TAG_LENGTH) throw corrupt("an encrypted entry with too few bytes");
  const id = Buffer.from(bytes.subarray(HEADER_LENGTH + 2, saltAt)).toString("latin1");
  if (!KEY_ID.test(id)) throw corrupt("an encrypted entry whose key has no id");
  return {
    id,
    salt: bytes.subarray(saltAt, saltAt + SALT_LENGTH),
    count: bytes.subarray(start - COUNT_LENGTH, start),
    isWhole: kind === ALL,
    start,
  };
}

function openEnd(bytes: Uint8Array, start: number): number {
  const left = bytes.length - TAG_LENGTH - start - 4;
  const length = left < 0 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(start, true);
  if (length > left) throw corrupt("an encrypted entry with too few bytes");
  return start + 4 + length;
}

function ivOf(count: Uint8Array): Uint8Array {
  const iv = new Uint8Array(IV_LENGTH);
  iv.set(count);
  return iv;
}

function withLength(text: string): Uint8Array {
  const size = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(4 + size);
  bytes.writeUInt32LE(size);
  bytes.write(text, 4);
  return bytes;
}

function secretOf(secret: unknown, option: string): KeyObject {
  const rule = `${SECRET_LENGTH} bytes, or their base64`;
  if (typeof secret === "string") {
    const bytes = Buffer.from(secret, "base64");
    // Node reads base64 as far as it goes: what was left out would be missing from the key.
    const isBase64 = /^[A-Za-z0-9+/_-]{43}=?$/.test(secret);
    if (!isBase64 || bytes.length !== SECRET_LENGTH)
      throw secretError(option, rule, `text of ${secret.length} characters`);
    return createSecretKey(bytes);
  }
  if (!(secret instanceof Uint8Array)) throw secretError(option, rule, `a value of type ${typeof secret}`);
  if (secret.length !== SECRET_LENGTH) throw secretError(option, rule, `${secret.length} bytes`);
  return createSecretKey(secret);
}

/** Says what is wrong with a secret without showing it. */
function secretError(option: string, rule: string, got: string): CacheError {
  return new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to be ${rule}, got ${got}`);
}

import type { EntityDefinition } from "../api.js";
import type { KeyInput } from "../keys.js";
import type { CacheOptions } from "../options.js";
import { optionError } from "../policy.js";
import { decodeValues, encodeValues } from "./codec/codec.js";
import { compress, inflate, resolveCompression, type Compression } from "./compress.js";
import { resolveEncryption, type Keyring } from "./encrypt.js";
import type { EntryFields } from "./entry.js";
import {
  asEnvelope,
  checkedFlags,
  checkFields,
  countOf,
  decodeBody,
  decodeEnvelope,
  encodeBody,
  encodeEnvelope,
  FLAG_COMPRESSED,
  FLAG_ENCRYPTED,
  HEADER_LENGTH,
  isPlain,
  writeChecksum,
  writeHeader,
  type Envelope,
  unreadable,
} from "./envelope.js";
import { join, split, without, type Split } from "./fields.js";

/*
 * Written: encoded → compressed → encrypted (what is encrypted has nothing left to compress). Every form reads what
 * every other wrote, so that an option can be changed while entries are stored; but one that encrypts takes nothing that
 * is not encrypted, or whoever can write to the tier could leave encryption out and say what they like.
 */

/** How entries become bytes for a shared tier, and back. A promise only where the work is worth another thread. */
export interface EntryForm {
  /**
   * @param path the entry's key as the shared tier has it.
   * @throws (or rejects with) CacheError `ERR_CACHE_VALUE` for what only memory can hold.
   */
  encode(path: string, fields: EntryFields, createdWall: number): Uint8Array | Promise<Uint8Array>;
  /**
   * The entry in these bytes, which must not change before the promise, if it is one, is settled. Nothing in it shares
   * memory with them.
   *
   * @throws (or rejects with) CacheError `ERR_CACHE_CORRUPT` for bytes that are no entry of this key in this cache: foreign, torn,
   *   written by a newer release, changed, moved here from another key, or encrypted with a key this process does not have.
   */
  decode(path: string, bytes: Uint8Array): Envelope | Promise<Envelope>;
}

/** What an entity says of how its values are stored. */
export type FormDeclaration = Pick<
  EntityDefinition<KeyInput, unknown>,
  "compression" | "encrypt" | "sensitive" | "exclude"
>;

/** The forms of one cache. */
export interface Forms {
  /** Of raw keys, and of entities that say nothing. */
  readonly default: EntryForm;
  /** @throws CacheError `ERR_CACHE_OPTION`, also when a declared protection could not be kept. */
  of(declared: FormDeclaration): EntryForm;
}

/** What a form does; `undefined` and empty leave it out. */
interface Steps {
  readonly compression: Compression | undefined;
  /** With what, and all of the body or which fields of the value. */
  readonly encryption: { readonly keyring: Keyring; readonly what: true | readonly string[] } | undefined;
  /** What encrypted entries are read with. */
  readonly keyring: Keyring | undefined;
  readonly exclude: readonly string[];
}

class StepwiseForm implements EntryForm {
  readonly #steps: Steps;

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  encode(path: string, fields: EntryFields, createdWall: number): Uint8Array | Promise<Uint8Array> {
    const { encryption, compression } = this.#steps;
    if (encryption === undefined && compression === undefined) return encodeEnvelope(fields, createdWall);
    // What has no fields to choose from is encrypted whole.
    const parts =
      encryption === undefined || encryption.what === true ? undefined : split(fields.value, encryption.what);
    if (encryption !== undefined && parts !== undefined)
      return this.#encodeFields(path, fields, createdWall, encryption.keyring, parts);
    const bytes = encodeBody(fields, createdWall);
    const body = bytes.subarray(HEADER_LENGTH);
    return after(this.#compressed(body), (block) => {
      const flags = flagsOf(block, encryption !== undefined);
      const entry = block === undefined || encryption !== undefined ? bytes : withHeaderRoom(block);
      writeHeader(entry, fields, createdWall, flags);
      if (encryption !== undefined) return encryption.keyring.seal(path, entry, block ?? body, undefined);
      writeChecksum(entry);
      return entry;
    });
  }

  decode(path: string, bytes: Uint8Array): Envelope | Promise<Envelope> {
    const { keyring, encryption } = this.#steps;
    if (encryption === undefined && isPlain(bytes)) return this.#given(decodeEnvelope(bytes));
    const flags = checkedFlags(bytes);
    const isCompressed = (flags & FLAG_COMPRESSED) !== 0;
    if ((flags & FLAG_ENCRYPTED) === 0) {
      if (encryption !== undefined) throw unreadable("one that is not encrypted where all are");
      return after(inflate(bytes.subarray(HEADER_LENGTH)), (raw) => this.#given(decodeBody(bytes, flags, raw)));
    }
    if (keyring === undefined) throw unreadable("an encrypted entry, and this cache has no keys");
    const { plain, open } = keyring.open(path, bytes);
    if (open === undefined)
      return after(isCompressed ? inflate(plain) : plain, (raw) => this.#given(decodeBody(bytes, flags, raw)));
    const parts = decodeValues(plain, 0, countOf(flags));
    return after(isCompressed ? inflate(open) : open, (raw) => {
      const [readable] = decodeValues(raw, 0, 1);
      const value = join(readable, parts.pop());
      return this.#given(asEnvelope(bytes, flags, [...parts, value]));
    });
  }

  #encodeFields(
    path: string,
    fields: EntryFields,
    createdWall: number,
    keyring: Keyring,
    parts: Split,
  ): Uint8Array | Promise<Uint8Array> {
    checkFields(fields, createdWall);
    const { tags, etag } = fields;
    const open = encodeValues(0, [parts.open]);
    const taken = encodeValues(0, etag === undefined ? [tags, parts.taken] : [tags, etag, parts.taken]);
    return after(this.#compressed(open), (block) => {
      const header = new Uint8Array(HEADER_LENGTH);
      writeHeader(header, fields, createdWall, flagsOf(block, true));
      return keyring.seal(path, header, taken, block ?? open);
    });
  }

  #compressed(body: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const { compression } = this.#steps;
    if (compression === undefined || body.length < compression.threshold) return undefined;
    return compress(body, compression.algorithm);
  }

  /** Without what a process that did not exclude it yet has stored. */
  #given(envelope: Envelope): Envelope {
    const { exclude } = this.#steps;
    if (exclude.length === 0) return envelope;
    const value = without(envelope.value, exclude);
    return value === envelope.value ? envelope : { ...envelope, value };
  }
}

/** Neither compressed nor encrypted; reads what is compressed all the same. */
export const plainForm: EntryForm = new StepwiseForm({
  compression: undefined,
  encryption: undefined,
  keyring: undefined,
  exclude: [],
});

/**
 * The forms of a cache.
 *
 * @param options.cacheName as the shared tier gets it: it is authenticated with what is encrypted.
 * @param options.isShared whether there is a shared tier; without one nothing is encoded, and no protection is missing.
 * @throws CacheError `ERR_CACHE_OPTION`
 */
export function createForms(
  options: { cacheName: string; isShared: boolean } & Pick<CacheOptions, "compression" | "encryption">,
): Forms {
  const compression = resolveCompression(options.compression, undefined);
  const { keyring, all = false } = resolveEncryption(options.cacheName, options.encryption) ?? {};
  const formOf = (steps: Omit<Steps, "keyring" | "encryption">, encrypt: true | readonly string[] | undefined) => {
    const encryption = keyring === undefined || encrypt === undefined ? undefined : { keyring, what: encrypt };
    return new StepwiseForm({ ...steps, keyring, encryption });
  };
  const isUnset = compression === undefined && keyring === undefined;
  const byDefault = isUnset ? plainForm : formOf({ compression, exclude: [] }, all ? true : undefined);
  return {
    default: byDefault,
    of: (declared) => {
      const own = declared.encrypt === true ? true : fieldNames(declared.encrypt, "encrypt");
      const encrypt = own ?? (all ? true : undefined);
      const exclude = fieldNames(declared.exclude, "exclude") ?? [];
      const sensitive = fieldNames(declared.sensitive, "sensitive") ?? [];
      const compresses = resolveCompression(declared.compression, compression);
      if (options.isShared) checkProtection({ encrypt, exclude, sensitive, canEncrypt: keyring !== undefined });
      if (compresses === compression && own === undefined && exclude.length === 0) return byDefault;
      return formOf({ compression: compresses, exclude }, encrypt);
    },
  };
}

/** @throws CacheError `ERR_CACHE_OPTION` when something would lie readable in the shared tier that must not. */
function checkProtection(declared: {
  readonly encrypt: true | readonly string[] | undefined;
  readonly exclude: readonly string[];
  readonly sensitive: readonly string[];
  readonly canEncrypt: boolean;
}): void {
  const { encrypt, exclude, sensitive } = declared;
  if (encrypt !== undefined && !declared.canEncrypt)
    throw optionError("encryption.keys", "given where an entity declares `encrypt`", undefined);
  if (encrypt === true) return;
  const readable = sensitive.find((field) => encrypt?.includes(field) !== true && !exclude.includes(field));
  if (readable !== undefined)
    throw optionError("sensitive", "fields that `encrypt` or `exclude` names, as there is a shared tier", readable);
}

/** @throws CacheError `ERR_CACHE_OPTION` */
function fieldNames(names: unknown, option: string): readonly string[] | undefined {
  if (names === undefined) return undefined;
  const rule = option === "encrypt" ? "true or an array of field names" : "an array of field names";
  if (!Array.isArray(names) || names.length === 0) throw optionError(option, rule, names);
  for (const name of names) if (typeof name !== "string" || name === "") throw optionError(option, rule, name);
  // Its own: the caller's array may change, after it was checked.
  return [...(names as readonly string[])];
}

function flagsOf(block: Uint8Array | undefined, isEncrypted: boolean): number {
  return (block === undefined ? 0 : FLAG_COMPRESSED) | (isEncrypted ? FLAG_ENCRYPTED : 0);
}

function withHeaderRoom(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_LENGTH + body.length);
  bytes.set(body, HEADER_LENGTH);
  return bytes;
}

/** `next` of a value that may have to be waited for. */
function after<T, R>(value: T | Promise<T>, next: (value: T) => R): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

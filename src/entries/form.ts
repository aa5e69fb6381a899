import type { EntryFields } from "./entry.js";
import { decodeEnvelope, encodeEnvelope, type Envelope } from "./envelope.js";

/** How entries become bytes for a shared tier, and back. A promise only where the work is worth another thread. */
export interface EntryForm {
  /**
   * @param path the entry's key as the shared tier has it.
   * @throws (or rejects with) CacheError `ERR_CACHE_VALUE` for what only memory can hold.
   */
  encode(path: string, fields: EntryFields, createdWall: number): Uint8Array | Promise<Uint8Array>;
  /**
   * @throws (or rejects with) CacheError `ERR_CACHE_CORRUPT` for bytes that are no entry of this key in this cache: foreign, torn,
   *   written by a newer release, changed, moved here from another key, or encrypted with a key this process does not have.
   */
  decode(path: string, bytes: Uint8Array): Envelope | Promise<Envelope>;
}

/** Neither compressed nor encrypted. */
export const plainForm: EntryForm = {
  encode: (_path, fields, createdWall) => encodeEnvelope(fields, createdWall),
  decode: (_path, bytes) => decodeEnvelope(bytes),
};

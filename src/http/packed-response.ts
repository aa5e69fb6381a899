import { isUtf8 } from "node:buffer";

import type { StoredResponse } from "./stored-response.js";

/**
 * A response as the cache holds it: a short body that is text is a string of its bytes, one character for each. Whoever reads the
 * cache shares a string, and is given a copy of bytes, which for a kilobyte costs more than all the rest of a hit.
 */
export type PackedResponse = Omit<StoredResponse, "body"> & { readonly body: string | Uint8Array };

/** Longest body that is held as text; one that is no text would take twice its room in a shared tier. */
const MAX_TEXT = 65_536;

export function packed(response: StoredResponse): PackedResponse {
  const { body } = response;
  if (body.length > MAX_TEXT || !isUtf8(body)) return response;
  return { ...response, body: Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1") };
}

export function unpacked(response: PackedResponse): StoredResponse {
  const { body } = response;
  if (typeof body !== "string") return response as StoredResponse;
  const bytes = Buffer.from(body, "latin1");
  return { ...response, body: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
}

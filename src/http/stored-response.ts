import type { Fields } from "./fields.js";
import type { Timed } from "./freshness.js";
import { unpacked, type PackedResponse } from "./packed-response.js";

/** A response as it is kept. */
export interface StoredResponse extends Timed {
  readonly kind: "response";
  readonly statusText: string;
  readonly body: Uint8Array;
  /** What other requests must say alike to be answered by it. */
  readonly vary: readonly string[];
  /** What its own request said in those fields. */
  readonly varyKey: string;
  /** Where its bytes stand in the representation, and how long that is; absent when they are all of it. */
  readonly part?: { readonly first: number; readonly length: number } | undefined;
}

/** What stands under a URL whose responses vary: by what, and where they are. */
export interface VaryRecord {
  readonly kind: "vary";
  readonly names: readonly string[];
  /** Part of the variants' keys: whoever removes this record has removed them all. */
  readonly generation: string;
}

/** A value found in the cache under a key of ours; `undefined` for what is neither, as somebody else may have put it there. */
export function asStored(value: unknown): StoredResponse | VaryRecord | undefined {
  const held = asHeld(value);
  return held?.kind === "response" ? unpacked(held) : held;
}

/** As `asStored`, as it is held. */
export function asHeld(value: unknown): PackedResponse | VaryRecord | undefined {
  if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
  if (value.kind === "vary" && "names" in value && "generation" in value) return value as VaryRecord;
  const isResponse =
    value.kind === "response" &&
    "status" in value &&
    "fields" in value &&
    Array.isArray(value.fields) &&
    "body" in value &&
    (typeof value.body === "string" || value.body instanceof Uint8Array);
  // Of this shape only this file's own make it: the names of its keys are reserved by the documentation.
  return isResponse ? (value as unknown as PackedResponse) : undefined;
}

/** The head of an answer of the origin's, and when it was asked for and came. */
export interface Head extends Timed {
  readonly statusText: string;
  readonly fields: Fields;
}

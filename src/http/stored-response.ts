import type { Fields } from "./fields.js";
import type { Timed } from "./freshness.js";

/** A response as it is kept. */
export interface StoredResponse extends Timed {
  readonly kind: "response";
  readonly statusText: string;
  readonly body: Uint8Array;
  /** What other requests must say alike to be answered by it. */
  readonly vary: readonly string[];
  /** What its own request said in those fields. */
  readonly varyKey: string;
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
  if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
  if (value.kind === "vary" && "names" in value && "generation" in value) return value as VaryRecord;
  const isResponse =
    value.kind === "response" &&
    "status" in value &&
    "fields" in value &&
    Array.isArray(value.fields) &&
    "body" in value &&
    value.body instanceof Uint8Array;
  // Of this shape only this file's own make it: the names of its keys are reserved by the documentation.
  return isResponse ? (value as unknown as StoredResponse) : undefined;
}

/** The head of an answer of the origin's, and when it was asked for and came. */
export interface Head extends Timed {
  readonly statusText: string;
  readonly fields: Fields;
}

import { createHash } from "node:crypto";
import { fieldValue, type Fields } from "./fields.js";

/** What tells of the content of a QUERY, and so is part of its key (RFC 10008 §2.7). */
const CONTENT_FIELDS: readonly string[] = ["content-type", "content-encoding", "content-language"];

/** The content of a QUERY and what describes it, as part of a key: byte for byte, as no two writings of one query are known to mean the same. */
export function queryDigest(fields: Fields, content: Uint8Array): string {
  const hash = createHash("sha256");
  // Lengths first, so that nothing can pass for the part before it.
  for (const name of CONTENT_FIELDS) {
    const value = fieldValue(fields, name);
    hash.update(value === undefined ? "-" : `${value.length}:${value}`);
  }
  return hash.update(content).digest("base64url");
}

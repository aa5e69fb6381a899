import { createHash } from "node:crypto";
import type { Segment } from "../keys.js";

/** Path segments that are segments of the key; what follows is one segment, so that no URL is too deep to be a key. */
const MAX_PATH_SEGMENTS = 100;

/**
 * The key of a URL: `["http", "shared", "https://example.org", "path", "to", "?a=b"]`. A prefix of it is what lies below a path.
 * No path or query can be more than its segments, as neither holds a raw "/", "?" or "#".
 */
export function urlKey(room: string, url: URL): readonly Segment[] {
  const segments = url.pathname.split("/").slice(1);
  const path =
    segments.length <= MAX_PATH_SEGMENTS
      ? segments
      : [...segments.slice(0, MAX_PATH_SEGMENTS), segments.slice(MAX_PATH_SEGMENTS).join("/")];
  return ["http", room, url.origin, ...path, ...(url.search === "" ? [] : [url.search])];
}

/** The key of one of a URL's variants: by the generation of its record, and what the request says in the fields it varies on. */
export function variantKey(key: readonly Segment[], generation: string, vary: string): readonly Segment[] {
  const digest = createHash("sha256").update(vary).digest("base64url");
  return [...key, "#", generation, `=${digest}`];
}

/** What variants of a URL have for a tag, so that they can be purged together. */
export function urlTag(key: readonly Segment[]): readonly Segment[] {
  return ["http-url", ...key.slice(1)];
}

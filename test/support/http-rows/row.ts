import type { Face, Lines, Reply, Row, Turn } from "../scripted-http.js";

/** An HTTP date so many seconds from now. */
export function date(seconds: number): string {
  return new Date(Date.now() + seconds * 1_000).toUTCString();
}

export const SHARED: readonly Face[] = ["gateway", "shared"];
export const PRIVATE: readonly Face[] = ["private"];
export const GATEWAY: readonly Face[] = ["gateway"];

/** An answer that is fresh for a day, or what the fields say. */
export function fresh(fields: Lines = {}, more: Omit<Reply, "fields"> = {}): Reply {
  return { ...more, fields: { "cache-control": "max-age=86400", ...fields } };
}

/** An answer that is stale since a while, with a validator. */
export function stale(fields: Lines = {}, more: Omit<Reply, "fields"> = {}): Reply {
  return { ...more, fields: { "cache-control": "max-age=10", age: "100", etag: '"a"', ...fields } };
}

export function row(
  section: string,
  title: string,
  replies: readonly Reply[],
  turns: readonly Turn[],
  faces?: readonly Face[],
): Row {
  return { section, title, replies, turns, faces };
}

/** Asked twice, an answer with these fields comes from the store the second time. */
export function reused(section: string, title: string, reply: Reply | Lines, faces?: readonly Face[]): Row {
  const { status = 200 } = asReply(reply);
  return row(section, `reuses ${title}`, [asReply(reply)], [{ status }, { status, expect: "stored" }], faces);
}

/** Asked twice, an answer with these fields comes from the origin both times. */
export function notReused(section: string, title: string, reply: Reply | Lines, faces?: readonly Face[]): Row {
  const { status = 200 } = asReply(reply);
  return row(section, `does not reuse ${title}`, [asReply(reply)], [{ status }, { status, expect: "asked" }], faces);
}

const OF_REPLIES: ReadonlySet<string> = new Set([
  "status", "fields", "body", "unchanged", "cut", "delay", "before", "trailers", "raw",
]); // prettier-ignore

function asReply(reply: Reply | Lines): Reply {
  return Object.keys(reply).every((name) => OF_REPLIES.has(name)) ? reply : { fields: reply as Lines };
}

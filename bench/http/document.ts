/** What every contender serves: a kilobyte of JSON, with the head an API gives it. */
export const BODY: Buffer = Buffer.from(JSON.stringify({ items: "x".repeat(1_011) }));
export const PATH = "/api/items";

export const HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "public, max-age=86400",
  "content-type": "application/json; charset=utf-8",
  etag: '"3f80f-1b6-3e1cb03b"',
  "content-length": String(BODY.length),
};

import { fieldLines, type Fields } from "./fields.js";

/** Methods that change nothing (RFC 9110 §9.2.1); any other counts as unsafe. */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"]);

export function isUnsafe(method: string): boolean {
  return !SAFE.has(method);
}

/**
 * The URLs whose stored responses an answered unsafe request outdates (RFC 9111 §4.4): its target and, of the same origin, what
 * Location and Content-Location name. Nothing when it failed.
 */
export function invalidatedUrls(method: string, url: string, status: number, fields: Fields): readonly string[] {
  if (!isUnsafe(method) || status < 200 || status > 399) return [];
  const urls = new Set([url]);
  for (const name of ["location", "content-location"]) {
    const line = fieldLines(fields, name)[0];
    const named = line === undefined ? undefined : resolved(line, url);
    // Of another origin it would let one site empty another's cache.
    if (named !== undefined && named.origin === new URL(url).origin) urls.add(named.href);
  }
  return [...urls];
}

function resolved(reference: string, base: string): URL | undefined {
  return URL.canParse(reference, base) ? new URL(reference, base) : undefined;
}

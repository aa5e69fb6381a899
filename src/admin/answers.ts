import { CacheError } from "../errors.js";
import type { Refusal } from "./access.js";

/** On every answer: nothing of it is framed, guessed at, kept or run but the page's own files. */
const SAFE: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

export function answer(
  body: string | Uint8Array | ReadableStream<Uint8Array> | null,
  headers: Readonly<Record<string, string>>,
  status = 200,
): Response {
  return new Response(body, { status, headers: { "cache-control": "no-store", ...SAFE, ...headers } });
}

export function json(data: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return answer(JSON.stringify(data), { "content-type": "application/json; charset=utf-8", ...headers }, status);
}

export function refuse({ status, code, message }: Refusal): Response {
  return json({ error: { code, message } }, status);
}

export function problem(status: number, code: string, message: string): Response {
  return json({ error: { code, message } }, status);
}

/** What went wrong, as far as it is the caller's business. */
export function failed(error: unknown): Response {
  if (!(error instanceof CacheError))
    return problem(500, "internal", "Something went wrong in the process that answers");
  const status = error.code === "ERR_CACHE_KEY" || error.code === "ERR_CACHE_OPTION" ? 400 : 503;
  return problem(status, error.code, error.message);
}

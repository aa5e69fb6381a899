import type { Answer } from "./exchange.js";
import { hasField, type Fields } from "./fields.js";
import type { ReadyHit } from "./ready-hit.js";

/** Statuses whose response has no body (Fetch standard). */
export const BODILESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304]);

/** Header fields of the Fetch API as those of ours; a list that it has joined stays one line. */
export function fieldsOf(headers: Headers): Fields {
  return [...headers];
}

/** An answer as a `Response`. */
export function asResponse(answer: Answer, url: string, redirected: boolean): Response {
  const headers = new Headers();
  for (const [name, value] of answer.fields) headers.append(name, value);
  const { status, statusText } = answer;
  const body = BODILESS.has(status) ? null : answer.body;
  // What is no status a Response may be made with is one that it may have: origins send such.
  const isPlain = status >= 200 && status <= 599;
  const response = new Response(body, { status: isPlain ? status : 200, statusText, headers });
  if (!isPlain) Object.defineProperty(response, "status", { value: status });
  return located(response, url, redirected);
}

/** What of a ready hit is the same for all its Responses. */
interface Prepared {
  readonly headers: Headers;
  /** Its body is text to a Response as well: of ASCII each character is its byte, and its type is said. */
  readonly isText: boolean;
}

/** A memo, never more: by the hit's fields, which live as long as its head holds. */
const PREPARED = new WeakMap<Fields, Prepared>();

/** A ready hit as a `Response`; `undefined` for one that only `asResponse` can make. */
export function readyResponse(hit: ReadyHit, url: string): Response | undefined {
  const { status, statusText, fields, body } = hit;
  if (status < 200 || status > 599 || BODILESS.has(status)) return undefined;
  let prepared = PREPARED.get(fields);
  if (prepared === undefined) {
    const headers = new Headers();
    for (const [name, value] of fields) headers.append(name, value);
    const isText = typeof body === "string" && hasField(fields, "content-type") && ASCII.test(body);
    prepared = { headers, isText };
    PREPARED.set(fields, prepared);
  }
  const { headers, isText } = prepared;
  const own = typeof body === "string" && !isText ? Buffer.from(body, "latin1") : body;
  return located(new Response(own, { status, statusText, headers }), url, false);
}

const ASCII = /^[\x00-\x7f]*$/;

/** A Response made by hand has no URL: this one, and its clones, get that of the request. */
function located(response: Response, url: string, redirected: boolean): Response {
  const clone = response.clone.bind(response);
  return Object.defineProperties(response, {
    url: { value: url },
    redirected: { value: redirected },
    clone: { value: (): Response => located(clone(), url, redirected) },
  });
}

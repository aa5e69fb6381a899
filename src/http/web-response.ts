import type { Answer } from "./exchange.js";
import type { Fields } from "./fields.js";

/** Statuses whose response has no body (Fetch standard). */
const BODILESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304]);

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

/** A Response made by hand has no URL: this one, and its clones, get that of the request. */
function located(response: Response, url: string, redirected: boolean): Response {
  const clone = response.clone.bind(response);
  return Object.defineProperties(response, {
    url: { value: url },
    redirected: { value: redirected },
    clone: { value: (): Response => located(clone(), url, redirected) },
  });
}

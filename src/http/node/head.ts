import {
  STATUS_CODES,
  validateHeaderName,
  validateHeaderValue,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from "node:http";
import type { Http2ServerResponse } from "node:http2";

import type { Answer } from "../exchange.js";
import type { Fields } from "../fields.js";
import { endToEnd } from "../hop-by-hop.js";

/** Answers that end with their head, whoever asked (RFC 9110 §6.4.1); 205 has a length of 0. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** As the reason phrase's grammar has it (RFC 9112 §4); what else an origin says is not repeated. */
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Writes an answer's head: its end-to-end fields in their order, each line a line of its own.
 *
 * @param isLast the connection ends with this answer.
 * @returns whether nothing follows the head.
 * @throws TypeError for a field that cannot be written.
 */
export function writeHead(
  outgoing: ServerResponse | Http2ServerResponse,
  method: string,
  answer: Answer,
  isLast: boolean,
): boolean {
  const { status } = answer;
  const isBodiless = method === "HEAD" || BODILESS.has(status);
  const fields = framed(answer, isBodiless);
  if (outgoing.req.httpVersionMajor >= 2) {
    (outgoing as Http2ServerResponse).writeHead(status, grouped(fields));
    return isBodiless;
  }
  const own = outgoing as ServerResponse;
  const framedFields = isLast ? [...fields, ["connection", "close"] as const] : fields;
  if (!isPristine(own)) {
    for (const [name, value] of Object.entries(grouped(framedFields))) own.setHeader(name, value as string);
    own.statusMessage = reasonOf(answer);
    own.writeHead(status);
    return isBodiless;
  }
  const lines: string[] = [];
  for (const [name, value] of framedFields) lines.push(name, value);
  own.writeHead(status, reasonOf(answer), lines);
  return isBodiless;
}

/**
 * Whether a head may be written in one piece: nobody has set a field, with which lines would be merged, or put a function before the
 * response's own, as such do not know all forms of a head.
 */
export function isPristine(outgoing: ServerResponse): boolean {
  return (
    outgoing.getHeaderNames().length === 0 && !Object.hasOwn(outgoing, "writeHead") && !Object.hasOwn(outgoing, "end")
  );
}

/** The reason phrase as it can be written. */
export function reasonOf({ status, statusText }: Pick<Answer, "status" | "statusText">): string {
  return statusText !== "" && REASON.test(statusText) ? statusText : (STATUS_CODES[status] ?? "Unknown");
}

/** The fields with the length of the body that follows, or without one where none may be said. */
function framed({ status, fields, body }: Answer, isBodiless: boolean): Fields {
  const own = endToEnd(fields);
  if (status === 204 || status === 304) return withoutLength(own);
  if (status === 205) return [...withoutLength(own), ["content-length", "0"]];
  // A head alone repeats what its body's would have said.
  if (isBodiless) return hasOneLength(own) ? own : withoutLength(own);
  if (body === null) return [...withoutLength(own), ["content-length", "0"]];
  if (body instanceof Uint8Array) return [...withoutLength(own), ["content-length", String(body.length)]];
  return hasOneLength(own) ? own : withoutLength(own);
}

function withoutLength(fields: Fields): Fields {
  return fields.filter(([name]) => name !== "content-length");
}

/** Whether there is one length, which is a number: two of them are how requests are smuggled (RFC 9112 §6.3). */
function hasOneLength(fields: Fields): boolean {
  const lines = fields.filter(([name]) => name === "content-length");
  return lines.length === 1 && /^\d{1,15}$/.test(lines[0]?.[1] ?? "");
}

function grouped(fields: Fields): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of fields) {
    // HTTP/1's response checks by itself; HTTP/2's would leave out what is wrong and go on.
    validateHeaderName(name);
    validateHeaderValue(name, value);
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (typeof before === "string") headers[name] = [before, value];
    else before.push(value);
  }
  return headers;
}

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

import { systemClock, type Clock } from "../../clock.js";
import type { HttpEngine } from "../engine.js";
import type { Answer, CacheMode, Exchange } from "../exchange.js";
import { fieldLines, hasField, type Fields } from "../fields.js";
import { hasBody } from "./fields.js";
import { cut, isGone, writeBody, type Ending } from "./body.js";
import { writeHead } from "./head.js";
import { hitWithout, writeHit } from "./hit.js";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** A request of node:http or of node:http2's compatibility API, as `answerNode` is given it. */
export interface NodeExchange {
  /** Absolute, without a fragment, its path as it is forwarded: it is the key. */
  readonly url: URL;
  /** The request's fields that may reach the origin and that answers may vary on; `nodeFields` has all of them. */
  readonly fields: Fields;
  /**
   * Asks the origin, with the fields it is given: those above with the cache's own conditions. It reads the request's body from
   * `incoming` itself, if it forwards one, and need not if it does not. What it rejects with is for `failed`.
   */
  readonly send: Exchange["send"];
  /** In capitals. @default `incoming.method` */
  readonly method?: string | undefined;
  /** @default "default" */
  readonly mode?: CacheMode | undefined;
  /** A field, in lower case, that is between the origin and the cache: no client sees it. */
  readonly hidden?: string | undefined;
  /**
   * The last hand on an answer before its head is written. Not called for `failed`'s, and not for what memory answers at once, which
   * has nothing of this request in it.
   */
  readonly amend?: ((answer: Answer) => Answer) | undefined;
  /** What the client gets when the engine rejects and nothing was written. @default 502 without a body */
  readonly failed?: ((error: unknown) => Answer) | undefined;
  /** Longest time in milliseconds that the client may leave written bytes lying before it is cut. @default 30_000 */
  readonly stallTimeout?: number | undefined;
  /** @default the machine's */
  readonly clock?: Clock | undefined;
}

/** How a request was answered, for an access log. */
export interface NodeOutcome {
  /** 0 when the client went away before there was a head. */
  readonly status: number;
  /** The answer's fields, Cache-Status among them. */
  readonly fields: Fields;
  /** Bytes of the body that were written. */
  readonly bytes: number;
  /**
   * `whole`; `gone`: the client went away; `stalled`: it did not read and was cut; `broken`: the origin's body was cut short, and so
   * is the client's; `failed`: `failed` has answered.
   */
  readonly ending: Ending | "failed";
  /** Why it failed or broke. */
  readonly error: unknown;
}

/** Unread bytes of a request that are drained, so that its connection may be used again. */
const MOST_DRAINED = 65_536;
const STALL_TIMEOUT = 30_000;
/** A longer body is written in slices, so that a client that does not read it is noticed. */
const MOST_AT_ONCE = 65_536;

/**
 * Answers one request of node:http, or node:http2's compatibility API, through an engine. Never rejects, and whatever
 * happens the response is ended or its connection is.
 *
 * - Bodies stream with back-pressure from the origin to the client; a client that leaves bytes lying for `stallTimeout` is cut.
 * - The engine answers HEAD, ranges and conditions; nothing but a head is written for HEAD, 204, 205 and 304.
 * - A client that goes away aborts the exchange's signal: the origin's work ends when nobody else waits for it.
 * - A body that ends early, or has another length than it says, takes the connection (HTTP/2: the stream) with it, so that the
 *   client cannot take it for whole. Trailers are dropped.
 * - A transfer coding other than `chunked` is answered with 501, and nobody is asked.
 * - Lines of one field stay lines. A head that cannot be written (CR or LF in a value) is answered by `failed` instead.
 * - A request's body that nobody has read is drained if it says that it is short; else the connection ends with the answer. So a
 *   hit leaves nothing in the connection that the next request could be made of.
 *
 * @example
 * createServer((incoming, outgoing) => {
 *   const url = new URL(incoming.url ?? "/", "http://example.org");
 *   void answerNode(engine, incoming, outgoing, { url, fields: nodeFields(incoming), send });
 * });
 */
export async function answerNode(
  engine: HttpEngine,
  incoming: NodeRequest,
  outgoing: NodeResponse,
  exchange: NodeExchange,
): Promise<NodeOutcome> {
  const hit = hitNode(engine, incoming, outgoing, exchange);
  if (hit !== undefined) return hit;
  const leaving = new AbortController();
  const leave = (): void => {
    if (!outgoing.writableFinished) leaving.abort(new Error("The client went away"));
  };
  outgoing.once("close", leave);
  // What is written to a client that has gone is an error of the response's, and "close" has told all there is to it.
  outgoing.on("error", ignore);
  try {
    return await answered(engine, incoming, outgoing, exchange, leaving.signal);
  } finally {
    outgoing.off("close", leave);
  }
}

/**
 * The hot path: what memory holds whole and fresh for a plain GET, written at once. `undefined` for everything else, with nothing
 * written.
 */
function hitNode(
  engine: HttpEngine,
  incoming: NodeRequest,
  outgoing: NodeResponse,
  { url, fields, method, mode = "default", hidden }: NodeExchange,
): NodeOutcome | undefined {
  if (outgoing.req.httpVersionMajor >= 2 || isGone(outgoing)) return undefined;
  const found = engine.hitNow({ method: method ?? incoming.method ?? "GET", url, fields, mode });
  const hit = found === undefined || hidden === undefined ? found : hitWithout(found, hidden);
  if (hit === undefined || hit.body.length > MOST_AT_ONCE) return undefined;
  // A head that cannot be written is the long way's, which tells `failed` of it.
  if (!writeHit(outgoing as ServerResponse, hit)) return undefined;
  return { status: hit.status, fields: hit.fields, bytes: hit.body.length, ending: "whole", error: undefined };
}

async function answered(
  engine: HttpEngine,
  incoming: NodeRequest,
  outgoing: NodeResponse,
  exchange: NodeExchange,
  signal: AbortSignal,
): Promise<NodeOutcome> {
  const { url, fields, send, mode = "default", hidden, amend, failed = badGateway } = exchange;
  const method = exchange.method ?? incoming.method ?? "GET";
  if (hasUnknownCoding(incoming)) return write(incoming, outgoing, method, NOT_IMPLEMENTED, exchange, undefined);
  let answer: Answer;
  try {
    const whole = await engine.handle({ method, url, fields, mode, signal, send });
    const made = hidden === undefined ? whole : without(whole, hidden);
    answer = amend === undefined ? made : amend(made);
  } catch (error) {
    if (signal.aborted) return gone(error);
    return write(incoming, outgoing, method, answerTo(error, failed), exchange, { error });
  }
  if (signal.aborted) {
    await discard(answer, signal.reason);
    return gone(signal.reason);
  }
  return write(incoming, outgoing, method, answer, exchange, undefined);
}

/** Writes one answer; one whose head cannot be written is followed by that of `failed`. */
async function write(
  incoming: NodeRequest,
  outgoing: NodeResponse,
  method: string,
  answer: Answer,
  exchange: NodeExchange,
  failure: { readonly error: unknown } | undefined,
): Promise<NodeOutcome> {
  const { failed = badGateway, stallTimeout = STALL_TIMEOUT, clock = systemClock } = exchange;
  let isBodiless: boolean;
  try {
    isBodiless = writeHead(outgoing, method, answer, isLeftUnread(incoming));
  } catch (error) {
    await discard(answer, error);
    if (failure === undefined && !outgoing.headersSent) {
      return write(incoming, outgoing, method, answerTo(error, failed), exchange, { error });
    }
    cut(outgoing);
    return { status: answer.status, fields: answer.fields, bytes: 0, ending: "broken", error };
  }
  const { status, fields } = answer;
  if (isBodiless) await discard(answer, undefined);
  const body = isBodiless ? null : answer.body;
  const length = isBodiless ? undefined : declaredLength(fields);
  const written = await writeBody(outgoing, body, length, { stallTimeout, clock });
  if (failure === undefined || written.ending !== "whole") return { status, fields, ...written };
  return { status, fields, ...written, ending: "failed", error: failure.error };
}

function answerTo(error: unknown, failed: (error: unknown) => Answer): Answer {
  try {
    return failed(error);
  } catch {
    // Whatever made it fail, the client is owed an answer.
    return badGateway();
  }
}

function badGateway(): Answer {
  return { status: 502, statusText: "Bad Gateway", fields: [["content-length", "0"]], body: null };
}

/** A body whose end nobody here can find (RFC 9112 §6.1): its connection ends with the answer. */
const NOT_IMPLEMENTED: Answer = {
  status: 501,
  statusText: "Not Implemented",
  fields: [["content-length", "0"]],
  body: null,
};

function hasUnknownCoding({ httpVersionMajor, headers }: NodeRequest): boolean {
  const coding = headers["transfer-encoding"];
  return httpVersionMajor < 2 && coding !== undefined && coding.toLowerCase() !== "chunked";
}

function gone(error: unknown): NodeOutcome {
  return { status: 0, fields: [], bytes: 0, ending: "gone", error };
}

/** Whether the request's body would be left lying in its connection, and is too long to be drained. */
function isLeftUnread(incoming: NodeRequest): boolean {
  if (incoming.complete || incoming.readableDidRead || incoming.httpVersionMajor >= 2 || !hasBody(incoming))
    return false;
  const length = Number(incoming.headers["content-length"] ?? Number.NaN);
  return !(length <= MOST_DRAINED);
}

function declaredLength(fields: Fields): number | undefined {
  const lines = fieldLines(fields, "content-length");
  return lines.length === 0 ? undefined : Number(lines[0]);
}

function without<T extends { readonly fields: Fields }>(answer: T, hidden: string): T {
  if (!hasField(answer.fields, hidden)) return answer;
  return { ...answer, fields: answer.fields.filter(([name]) => name !== hidden) };
}

async function discard({ body }: Answer, reason: unknown): Promise<void> {
  // Its source may refuse to be cancelled; nobody waits for it any more.
  if (body instanceof ReadableStream) await body.cancel(reason).catch(ignore);
}

function ignore(): void {}

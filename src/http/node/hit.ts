import { ServerResponse } from "node:http";

import { hasField, type Fields } from "../fields.js";
import type { ReadyHit } from "../ready-hit.js";
import { isPristine, reasonOf, writeHead } from "./head.js";

/*
 * A hit in one write.
 *
 * Node checks and joins the lines of every head, and writes head, body and end as three chunks. Of a hit's head the text is the same
 * for a second, and it is Node's own: the first answer is written as any other, what Node has made of its head is kept, and the next
 * ones go out as that text and the body in one piece. The response is then told that its head is written, and ended without a chunk.
 *
 * That is done only for a response as node:http makes it, on a connection that goes on, when it is its turn: everything that would
 * have made another head, or has put something before the response's own functions, goes Node's way.
 */

/** What this reads and sets of a response that its type does not have. */
interface Internals {
  _header: string | null;
  _headerSent: boolean;
  readonly _last: boolean;
  readonly _defaultKeepAlive: boolean;
  readonly _removedConnection: boolean;
  readonly _removedContLen: boolean;
  readonly _keepAliveTimeout: number;
  readonly _maxRequestsPerSocket: number | undefined;
  readonly _expect_continue: boolean;
  readonly maxRequestsOnConnectionReached: boolean;
}

/** A head as Node has written it. */
interface HeadText {
  readonly text: string;
  /** What its Keep-Alive says; milliseconds. */
  readonly keepAliveTimeout: number;
}

/** Longest body that is one piece with its head: longer text Node does not write at once, and longer bytes cost more to copy. */
const MOST_IN_ONE = 15_000;

/** A memo, never more: heads by their lines, which live as long as a head holds. */
const TEXTS = new WeakMap<readonly string[], HeadText>();

/**
 * Writes a hit, whole.
 *
 * @returns false, with nothing written, for a head that cannot be.
 */
export function writeHit(outgoing: ServerResponse, hit: ReadyHit): boolean {
  if (!isPristine(outgoing)) return writeMerged(outgoing, hit);
  const own = internalsOf(outgoing);
  const head = own === undefined ? undefined : TEXTS.get(hit.lines);
  if (own !== undefined && head !== undefined && head.keepAliveTimeout === own._keepAliveTimeout) {
    writeAtOnce(outgoing, own, head.text, hit);
    return true;
  }
  try {
    outgoing.writeHead(hit.status, reasonOf(hit), hit.lines as string[]);
  } catch {
    return false;
  }
  if (own !== undefined && typeof own._header === "string" && !own._last) {
    TEXTS.set(hit.lines, { text: own._header, keepAliveTimeout: own._keepAliveTimeout });
  }
  end(outgoing, hit.body);
  return true;
}

/** Heads without a field, by what they were: the same for as long as those are. */
const REDUCED = new WeakMap<Fields, Pick<ReadyHit, "fields" | "lines">>();

/** A hit without one field, which is always the same one for a store. */
export function hitWithout(hit: ReadyHit, hidden: string): ReadyHit {
  if (!hasField(hit.fields, hidden)) return hit;
  let reduced = REDUCED.get(hit.fields);
  if (reduced === undefined) {
    const isKept = (_part: string, index: number): boolean => hit.lines[index - (index % 2)] !== hidden;
    reduced = { fields: hit.fields.filter(([name]) => name !== hidden), lines: hit.lines.filter(isKept) };
    REDUCED.set(hit.fields, reduced);
  }
  return { ...hit, ...reduced };
}

/** What a response of node:http is like that writes the same head as any other; `undefined` for one that may not. */
function internalsOf(outgoing: ServerResponse): Internals | undefined {
  if (!("_header" in outgoing && "_headerSent" in outgoing && "_keepAliveTimeout" in outgoing)) return undefined;
  // The names are Node's own and not its types': they have been there since its first versions.
  const own = outgoing as unknown as Internals;
  const isUsual =
    own._header === null &&
    outgoing.shouldKeepAlive &&
    outgoing.sendDate &&
    own._defaultKeepAlive &&
    !own._removedConnection &&
    !own._removedContLen &&
    !own._expect_continue &&
    !own.maxRequestsOnConnectionReached &&
    !(Number(own._maxRequestsPerSocket) > 0) &&
    !outgoing.strictContentLength;
  const { req, socket } = outgoing;
  if (!isUsual || socket === null || req.httpVersion !== "1.1") return undefined;
  const { prototype } = ServerResponse;
  const isOwn =
    outgoing.writeHead === prototype.writeHead && outgoing.end === prototype.end && outgoing.write === prototype.write;
  return isOwn ? own : undefined;
}

function writeAtOnce(outgoing: ServerResponse, own: Internals, text: string, hit: ReadyHit): void {
  const { body } = hit;
  // It is this response's turn, or it would have no socket.
  const socket = outgoing.socket as NonNullable<ServerResponse["socket"]>;
  outgoing.statusCode = hit.status;
  outgoing.statusMessage = reasonOf(hit);
  own._header = text;
  own._headerSent = true;
  if (body.length > MOST_IN_ONE) {
    socket.cork();
    socket.write(text, "latin1");
    if (typeof body === "string") socket.write(body, "latin1");
    else socket.write(body);
    outgoing.end();
    socket.uncork();
    return;
  }
  if (typeof body === "string") socket.write(text + body, "latin1");
  else {
    const whole = Buffer.allocUnsafe(text.length + body.length);
    whole.write(text, 0, "latin1");
    whole.set(body, text.length);
    socket.write(whole);
  }
  outgoing.end();
}

/** With the fields that were set before, which those of the same name replace. */
function writeMerged(outgoing: ServerResponse, { status, statusText, fields, body }: ReadyHit): boolean {
  if (outgoing.headersSent) return false;
  const bytes = typeof body === "string" ? Buffer.from(body, "latin1") : body;
  try {
    writeHead(outgoing, "GET", { status, statusText, fields, body: bytes }, false);
  } catch {
    return false;
  }
  end(outgoing, bytes);
  return true;
}

function end(outgoing: ServerResponse, body: string | Uint8Array): void {
  if (typeof body === "string") outgoing.end(body, "latin1");
  else outgoing.end(body);
}

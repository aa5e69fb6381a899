import { STATUS_CODES, validateHeaderName, validateHeaderValue, type ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";

import type { Fields } from "../http/fields.js";
import { endToEnd } from "../http/hop-by-hop.js";
import type { NodeResponse } from "../http/node/answer.js";

/** Of one connection: 100 is said by who takes the body, and 101 is the end of HTTP on it. */
const OF_THE_CONNECTION: ReadonlySet<number> = new Set([100, 101]);

/**
 * Passes an interim answer of the origin's, known or not, to the client that still waits for its head: a proxy must
 * (RFC 9110 §15.2). Clients of HTTP/1.0 know of none.
 */
export function passInterim(outgoing: NodeResponse, status: number, fields: Fields): void {
  if (OF_THE_CONNECTION.has(status) || outgoing.headersSent || outgoing.destroyed) return;
  if (outgoing.req.httpVersion === "1.0") return;
  const own = endToEnd(fields);
  try {
    for (const [name, value] of own) {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    }
    if (outgoing.req.httpVersionMajor >= 2) writeStream(outgoing as Http2ServerResponse, status, own);
    else writeSocket(outgoing as ServerResponse, status, own);
  } catch {
    // What cannot be written is left out: the answer comes all the same.
  }
}

/** Node's own ways to write one know 102 and 103 alone, and of 103 not all links. */
function writeSocket(outgoing: ServerResponse, status: number, fields: Fields): void {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  // There is one only when what was asked before on the connection has been answered.
  outgoing.socket?.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`, "latin1");
}

function writeStream(outgoing: Http2ServerResponse, status: number, fields: Fields): void {
  // Of no prototype: a field may be called as what every object has.
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of fields) {
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  outgoing.stream.additionalHeaders({ ":status": status, ...headers });
}

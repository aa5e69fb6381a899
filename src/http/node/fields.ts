import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";

import type { Fields } from "../fields.js";

/** The fields of a request as it came: one pair for each line, names in lower case, without HTTP/2's pseudo-fields. */
export function nodeFields({ rawHeaders }: Pick<IncomingMessage | Http2ServerRequest, "rawHeaders">): Fields {
  const fields: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.charCodeAt(0) !== COLON) fields.push([name.toLowerCase(), rawHeaders[index + 1] as string]);
  }
  return fields;
}

const COLON = 0x3a;

/** Whether a request has a body, by its framing (RFC 9112 §6.3); of HTTP/2 by whether its stream ended with the head. */
export function hasBody(incoming: IncomingMessage | Http2ServerRequest): boolean {
  if (incoming.httpVersionMajor >= 2) return "stream" in incoming && !incoming.stream.endAfterHeaders;
  const { headers } = incoming;
  if (headers["transfer-encoding"] !== undefined) return true;
  const length = headers["content-length"];
  return length !== undefined && length !== "0";
}

import { byteranges } from "./byteranges.js";
import { withCacheStatus, type Handling } from "./cache-status.js";
import { decodedBody, decodedFields, isToDecode } from "./encoding.js";
import type { Answer, Exchange } from "./exchange.js";
import { fieldValue, hasField, withField, type Fields } from "./fields.js";
import { currentAge } from "./freshness.js";
import type { ResolvedHttpOptions } from "./options.js";
import { allowsRange, isNotModified, NOT_MODIFIED_FIELDS } from "./preconditions.js";
import { contentRange, requestedRanges } from "./ranges.js";
import type { StoredResponse } from "./stored-response.js";

/**
 * A stored response as the answer to a request: whole, as 304 to a client that has it, as the part that is asked for, or as its
 * head.
 */
export function answerFrom(
  stored: StoredResponse,
  exchange: Exchange,
  handling: Handling,
  options: ResolvedHttpOptions,
): Answer {
  const age = Math.floor(currentAge(stored, options.clock.wall()) / 1_000);
  const aged = withCacheStatus(withField(stored.fields, "age", String(age)), options.name, handling);
  const isDecoded = isToDecode(aged, exchange.fields, options);
  const fields = isDecoded ? decodedFields(aged) : aged;
  if (stored.status === 200 && isNotModified(exchange.fields, stored)) return notModified(fields);
  const { status, statusText, body } = stored;
  if (exchange.method === "HEAD") return { status, statusText, fields, body: null };
  if (isDecoded) return { status, statusText, fields, body: decodedBody(body, aged) };
  const part = status === 200 ? partOf(stored, fields, exchange, options.decoded) : undefined;
  return part ?? { status, statusText, fields, body };
}

/** 304 with what it repeats of the stored response. */
export function notModified(fields: Fields): Answer {
  const kept = fields.filter(([name]) => NOT_MODIFIED_FIELDS.has(name));
  return { status: 304, statusText: "Not Modified", fields: kept, body: null };
}

function partOf(stored: StoredResponse, fields: Fields, exchange: Exchange, decoded: boolean): Answer | undefined {
  const range = fieldValue(exchange.fields, "range");
  // What was decoded on its way has not the bytes that ranges count.
  if (range === undefined || (decoded && hasField(fields, "content-encoding"))) return undefined;
  if (!allowsRange(exchange.fields, stored)) return undefined;
  const { first: offset, length } = stored.part ?? { first: 0, length: stored.body.length };
  const asked = requestedRanges(range, length);
  if (asked.kind === "whole") return undefined;
  if (asked.kind === "unsatisfiable") {
    const refused = withField(withField(fields, "content-range", `bytes */${length}`), "content-length", "0");
    return { status: 416, statusText: "Range Not Satisfiable", fields: refused, body: null };
  }
  const [one, ...others] = asked.ranges;
  if (one === undefined) return undefined;
  const partial = { status: 206, statusText: "Partial Content" };
  if (others.length > 0) {
    const type = fieldValue(fields, "content-type");
    const { contentType, body } = byteranges(stored.body, offset, length, asked.ranges, type);
    const typed = withField(withField(fields, "content-type", contentType), "content-length", String(body.length));
    return { ...partial, fields: typed, body };
  }
  const body = stored.body.subarray(one.first - offset, one.last - offset + 1);
  const ranged = withField(
    withField(fields, "content-range", contentRange(one, length)),
    "content-length",
    String(body.length),
  );
  return { ...partial, fields: ranged, body };
}

/** What a request that only the cache may answer gets when it cannot (RFC 9111 §5.2.1.7). */
export function gatewayTimeout(options: ResolvedHttpOptions): Answer {
  const fields = withCacheStatus([["content-length", "0"]], options.name, { detail: "only-if-cached" });
  return { status: 504, statusText: "Gateway Timeout", fields, body: null };
}

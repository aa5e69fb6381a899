import { parseEntityTag, strongMatch, type EntityTag } from "./entity-tag.js";
import { fieldValue, withField, withoutFields, type Fields } from "./fields.js";
import type { ResolvedHttpOptions } from "./options.js";
import { allowsRange } from "./preconditions.js";
import { parseContentRange, requestedRanges, type ByteRange } from "./ranges.js";
import type { Head, StoredResponse } from "./stored-response.js";
import { updatedFields } from "./validation.js";

/*
 * Incomplete stored responses (RFC 9111 §3.3, §3.4): the bytes of one run of a representation, kept as what a 200 with all of it
 * would be. They answer requests for what lies within, and become whole by one request for what is missing.
 */

/** Of the part that came, not of the representation. */
const OF_THE_PART: ReadonlySet<string> = new Set(["content-range", "content-length"]);

/** A 206 as an incomplete response; `undefined` when its bytes are not those it says. */
export function asPart(response: StoredResponse): StoredResponse | undefined {
  const range = parseContentRange(fieldValue(response.fields, "content-range") ?? "");
  if (range === undefined || response.body.length !== range.last - range.first + 1) return undefined;
  const fields = withoutFields(response.fields, OF_THE_PART);
  const part = { ...response, status: 200, statusText: "OK", fields };
  return range.first === 0 && range.last === range.length - 1
    ? whole(part)
    : { ...part, part: { first: range.first, length: range.length } };
}

/** Two parts as one, the later one's fields taken over, or the later one alone where they are not known to be of the same bytes, or leave a gap. */
export function combined(
  earlier: StoredResponse | undefined,
  later: StoredResponse,
  options: ResolvedHttpOptions,
): StoredResponse {
  if (earlier?.part === undefined || later.part === undefined || earlier.part.length !== later.part.length)
    return later;
  if (!isSameRepresentation(earlier.fields, later.fields)) return later;
  const { length } = later.part;
  const [left, right] = earlier.part.first <= later.part.first ? [earlier, later] : [later, earlier];
  const [from, next] = [left.part?.first ?? 0, right.part?.first ?? 0];
  if (next > from + left.body.length) return later;
  const end = Math.max(from + left.body.length, next + right.body.length);
  const body = new Uint8Array(end - from);
  body.set(right.body, next - from);
  body.set(left.body, 0);
  const fields = updatedFields(earlier.fields, later.fields, options);
  const { part: _part, ...rest } = later;
  const both: StoredResponse = { ...rest, fields, body };
  return from === 0 && end === length ? whole(both) : { ...both, part: { first: from, length } };
}

function whole(response: StoredResponse): StoredResponse {
  return { ...response, fields: withField(response.fields, "content-length", String(response.body.length)) };
}

/** Whether a stored response can answer the request at all: it is whole, or has every byte that is asked for. */
export function hasWhatIsAsked(stored: StoredResponse, method: string, request: Fields): boolean {
  if (stored.part === undefined) return true;
  const range = fieldValue(request, "range");
  if (method === "HEAD" || range === undefined || !allowsRange(request, stored)) return false;
  const { first, length } = stored.part;
  const asked = requestedRanges(range, length);
  if (asked.kind !== "parts") return false;
  return asked.ranges.every((one) => one.first >= first && one.last < first + stored.body.length);
}

/** The one run of bytes that makes an incomplete response whole; `undefined` when there are two, or nothing tells that they would be of the same. */
export function missingRange({ part, body, fields }: StoredResponse): ByteRange | undefined {
  if (part === undefined || strongTag(fields) === undefined) return undefined;
  const end = part.first + body.length;
  if (part.first === 0) return { first: end, last: part.length - 1 };
  return end === part.length ? { first: 0, last: part.first - 1 } : undefined;
}

/** The conditions under which the missing bytes are asked for: all of it where the representation is another by now (RFC 9110 §13.1.5). */
export function completingFields(part: StoredResponse, { first, last }: ByteRange): Fields {
  return [
    ["range", `bytes=${first}-${last}`],
    ["if-range", fieldValue(part.fields, "etag") ?? ""],
  ];
}

/** The head of the whole that an incomplete response and the answer to `completingFields` make; `undefined` when they do not fit. */
export function completedHead(
  part: StoredResponse,
  missing: ByteRange,
  head: Head,
  options: ResolvedHttpOptions,
): Head | undefined {
  const came = parseContentRange(fieldValue(head.fields, "content-range") ?? "");
  const isMissing = came?.first === missing.first && came.last === missing.last && came.length === part.part?.length;
  if (!isMissing || !isSameRepresentation(part.fields, head.fields)) return undefined;
  const fields = withoutFields(updatedFields(part.fields, head.fields, options), OF_THE_PART);
  return { ...head, status: 200, statusText: "OK", fields: withField(fields, "content-length", String(came.length)) };
}

/** The stored bytes and those that come, in their order. */
export function completedBody(
  part: StoredResponse,
  missing: ByteRange,
  rest: ReadableStream<Uint8Array>,
): ReadableStream<Uint8Array> {
  const reader = rest.getReader();
  let isStoredDue = missing.first > 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (isStoredDue && missing.first > 0) {
          isStoredDue = false;
          return controller.enqueue(part.body);
        }
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        if (missing.first === 0) controller.enqueue(part.body);
        controller.close();
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** Both have the same strong validator (RFC 9110 §15.3.7.3). */
function isSameRepresentation(a: Fields, b: Fields): boolean {
  const [one, other] = [strongTag(a), strongTag(b)];
  return one !== undefined && other !== undefined && strongMatch(one, other);
}

export function strongTag(fields: Fields): EntityTag | undefined {
  const tag = parseEntityTag(fieldValue(fields, "etag") ?? "");
  return tag?.weak === false ? tag : undefined;
}

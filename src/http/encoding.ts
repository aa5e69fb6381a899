import { Readable, type Duplex } from "node:stream";
import { createBrotliDecompress, createGunzip } from "node:zlib";
import type { Answer } from "./exchange.js";
import { fieldLines, fieldValue, hasField, withField, withoutFields, type Fields } from "./fields.js";
import { splitList, trimBlanks } from "./lists.js";
import type { ResolvedHttpOptions } from "./options.js";
import { responseDirectives } from "./targeted.js";

/*
 * One stored encoding, negotiated on the way out (RFC 9110 §8.4, §12.5.3): a response that came encoded is kept as it came, and
 * decoded for clients that do not accept that. What is decoded is another representation, equivalent to the first: its tag is
 * weak (§8.8.1), ranges do not count, and digests of the encoded bytes are left out.
 */

const DECODERS: ReadonlyMap<string, () => Duplex> = new Map<string, () => Duplex>([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["br", createBrotliDecompress],
]);

/** Fields that tell of the encoded bytes. */
const OF_THE_ENCODED: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-length",
  "accept-ranges",
  "content-md5",
  "digest",
  "content-digest",
  "repr-digest",
]);

/** Whether the response can be decoded for whoever does not accept it as it is: then it is one for all encodings. */
export function isDecodable(fields: Fields, options: ResolvedHttpOptions): boolean {
  if (!options.negotiate || options.decoded || decoderOf(fields) === undefined) return false;
  // A proxy must not transform it then (RFC 9110 §7.7, RFC 9111 §5.2.2.6).
  const { directives } = responseDirectives(fields, options.targets);
  return !directives.noTransform && !/(?:^|[,\s])no-transform/i.test(fieldValue(fields, "cache-control") ?? "");
}

/** Whether a stored response has to be decoded for the request. */
export function isToDecode(fields: Fields, request: Fields, options: ResolvedHttpOptions): boolean {
  return hasField(fields, "content-encoding") && isDecodable(fields, options) && !acceptsEncoding(fields, request);
}

/** Whether the request accepts the response's coding. One that says nothing takes bytes as they are: few such clients decode. */
export function acceptsEncoding(fields: Fields, request: Fields): boolean {
  const coding = codingOf(fields);
  if (coding === undefined || coding === "identity") return true;
  let any = false;
  for (const line of fieldLines(request, "accept-encoding")) {
    for (const member of splitList(line).members) {
      const [name = "", ...parameters] = member.split(";").map((part) => trimBlanks(part).toLowerCase());
      const isRefused = parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter));
      if (name === coding || `x-${name}` === coding || name === `x-${coding}`) return !isRefused;
      if (name === "*") any = !isRefused;
    }
  }
  return any;
}

/** The request's fields as they ask about a stored response: in its coding, as it can be decoded for a client that does not accept it. */
export function acceptingStored(request: Fields, stored: Fields, options: ResolvedHttpOptions): Fields {
  const coding = codingOf(stored);
  if (coding === undefined || !isToDecode(stored, request, options)) return request;
  return withField(request, "accept-encoding", coding);
}

/** The fields of the decoded response. */
export function decodedFields(fields: Fields): Fields {
  const kept = withoutFields(fields, OF_THE_ENCODED);
  const tag = fieldValue(kept, "etag");
  const tagged = tag === undefined || tag.startsWith("W/") ? kept : withField(kept, "etag", `W/${tag}`);
  const varies = fieldLines(tagged, "vary").some((line) => /accept-encoding|\*/i.test(line));
  return varies ? tagged : [...tagged, ["vary", "Accept-Encoding"]];
}

/** The decoded body, as it comes. */
export function decodedBody(body: NonNullable<Answer["body"]>, fields: Fields): ReadableStream<Uint8Array> {
  const decoder = decoderOf(fields)?.();
  const encoded = body instanceof ReadableStream ? body : new Blob([Uint8Array.from(body)]).stream();
  if (decoder === undefined) return encoded;
  // What fails on either side ends the other: the reader hears of it.
  const source = Readable.fromWeb(encoded);
  source.on("error", (error) => decoder.destroy(error));
  decoder.on("close", () => source.destroy());
  source.pipe(decoder);
  // Node's own types of web streams and the global ones are the same streams.
  return Readable.toWeb(decoder) as ReadableStream<Uint8Array>;
}

function decoderOf(fields: Fields): (() => Duplex) | undefined {
  return DECODERS.get(codingOf(fields) ?? "");
}

function codingOf(fields: Fields): string | undefined {
  return fieldValue(fields, "content-encoding")?.trim().toLowerCase();
}

import { randomBytes } from "node:crypto";
import { contentRange, type ByteRange } from "./ranges.js";

/** A body of several parts (RFC 9110 §14.6). */
export interface MultipartBody {
  readonly contentType: string;
  readonly body: Uint8Array;
}

/**
 * Several ranges of a representation as one `multipart/byteranges` body.
 *
 * @param bytes the representation from its byte `offset` on; all ranges lie in it.
 * @param type the representation's Content-Type.
 */
export function byteranges(
  bytes: Uint8Array,
  offset: number,
  length: number,
  ranges: readonly ByteRange[],
  type: string | undefined,
): MultipartBody {
  // No bytes that were there before it hold it.
  const boundary = randomBytes(18).toString("base64url");
  const parts: Uint8Array[] = [];
  for (const range of ranges) {
    const typed = type === undefined ? "" : `Content-Type: ${type}\r\n`;
    parts.push(
      Buffer.from(`\r\n--${boundary}\r\n${typed}Content-Range: ${contentRange(range, length)}\r\n\r\n`, "latin1"),
    );
    parts.push(bytes.subarray(range.first - offset, range.last - offset + 1));
  }
  parts.push(Buffer.from(`\r\n--${boundary}--\r\n`, "latin1"));
  return { contentType: `multipart/byteranges; boundary=${boundary}`, body: Buffer.concat(parts) };
}

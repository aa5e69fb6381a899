import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import { CacheError } from "../errors.js";

/**
 * Signatures of what travels: HMAC-SHA-256 (RFC 2104), cut to 128 bits, in base64url.
 *
 * For implementers. Signed is what its writer knows, as the very text that is sent: `"origin",soft,[marks]` of a record,
 * `"settled",key` of a lease's end, and the channel, so that nothing can be carried from one cache to another. Positions
 * are given by the server and so not covered. Whoever may write to Redis but does not know a secret
 *
 * - cannot make up an invalidation, nor change what one hits;
 * - can repeat one that was sent, under any position (the entries it hits are loaded again), and name positions that
 *   do not exist (at the next heartbeat what memory holds is compared with the tier);
 * - can hide one from processes that have not heard it yet, by giving its place in the chain to another;
 * - can write what is not signed at all: entries, the head, the marks.
 */
export interface Signer {
  /** The signature of a text, 22 characters. */
  sign(text: string): string;
  /** Whether one of the secrets made the signature. */
  verifies(text: string, signature: string): boolean;
}

/** One secret, or the one that signs followed by others that are still believed. */
export type Secret = string | Uint8Array | readonly (string | Uint8Array)[];

/** Each secret is tried on each message, so their number bounds what a wrong one costs. */
const MAX_SECRETS = 8;
/** Bytes; RFC 2104 section 3 wants no less than the length of what comes out. */
const MIN_LENGTH = 16;
const SIGNATURE_BYTES = 16;

/**
 * Makes signers, one for each channel; `undefined` where there is no secret.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for no secret in a list, too many, or one too short. Secrets are not shown.
 */
export function signing(secret: Secret | undefined): ((channel: string) => Signer) | undefined {
  if (secret === undefined) return undefined;
  const given: unknown = secret;
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length === 0 || list.length > MAX_SECRETS) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`secret\` to be a secret or 1 to ${MAX_SECRETS} of them, got a list of ${list.length}`,
    );
  }
  const keys = list.map((item) => createSecretKey(bytesOf(item)));
  const [first] = keys;
  return (channel) => {
    const signatureBy = (key: (typeof keys)[number], text: string): string =>
      createHmac("sha256", key)
        .update(`${channel}\n${text}`)
        .digest()
        .subarray(0, SIGNATURE_BYTES)
        .toString("base64url");
    return {
      sign: (text) => signatureBy(first as (typeof keys)[number], text),
      verifies(text, signature) {
        const claimed = Buffer.from(signature);
        // All are computed, whichever fits: the time says nothing of which secret it was.
        return keys.reduce((fits, key) => isSame(Buffer.from(signatureBy(key, text)), claimed) || fits, false);
      },
    };
  };
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

function bytesOf(secret: unknown): Uint8Array {
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  if (bytes instanceof Uint8Array && bytes.length >= MIN_LENGTH) return bytes;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`secret\` to be text or bytes of ${MIN_LENGTH} bytes or more, got ${
      bytes instanceof Uint8Array ? `${bytes.length} bytes` : `a ${typeof secret}`
    }`,
  );
}

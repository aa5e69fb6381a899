import { createHash } from "node:crypto";
import { optionError } from "../../policy.js";

/** What a version of something is: a number that grows, a position, a time, a revision; with the id where one tag is for several. */
export type VersionPart = string | number | bigint | Date;

/** Of SHA-256, what is kept: 132 bits. */
const LENGTH = 22;

/** The strong entity tag of a body: of its bytes, so that two bodies with one tag are the same (RFC 9110 §8.8.3). */
export function entityTagOf(body: Uint8Array | string): string {
  return new EntityTagDigest().update(body).tag();
}

/** As `entityTagOf`, of a body that comes in pieces: a file's, a stream's. Nothing of it is kept. */
export async function entityTagOfStream(body: AsyncIterable<Uint8Array | string>): Promise<string> {
  const digest = new EntityTagDigest();
  for await (const chunk of body) digest.update(chunk);
  return digest.tag();
}

/** A strong entity tag in the making, for whoever has the pieces in hand: a body on its way to a client, or to storage. */
export class EntityTagDigest {
  readonly #hash = createHash("sha256");

  update(chunk: Uint8Array | string): this {
    this.#hash.update(chunk);
    return this;
  }

  /** Of all that came, once. */
  tag(): string {
    return `"${this.#hash.digest("base64url").slice(0, LENGTH)}"`;
  }
}

/**
 * The entity tag of a version of what the answer is built from: cheap, as no body is made for it. Weak, because the same version may be
 * sent in other bytes; `{ strong: true }` where each version has exactly one body, which is what If-Match compares by.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for what is no version.
 */
export function versionTag(
  version: VersionPart | readonly VersionPart[],
  { strong = false }: { readonly strong?: boolean | undefined } = {},
): string {
  const parts: readonly VersionPart[] = isList(version) ? version : [version];
  if (parts.length === 0) throw optionError("version", "at least one part", version);
  const texts = parts.map(partText);
  const plain = texts.join(".");
  // Parts without a "." joined by "." are told apart; whatever else there is becomes its digest.
  const isPlain = plain.length <= 64 && texts.every((text) => /^[\w-]+$/.test(text));
  const opaque = isPlain
    ? plain
    : `~${createHash("sha256").update(JSON.stringify(texts)).digest("base64url").slice(0, LENGTH)}`;
  return strong ? `"${opaque}"` : `W/"${opaque}"`;
}

function partText(part: VersionPart): string {
  if (part instanceof Date && Number.isFinite(part.getTime())) return String(part.getTime());
  const isText = (typeof part === "string" && part !== "") || typeof part === "bigint";
  if (isText || (typeof part === "number" && Number.isFinite(part))) return String(part);
  throw optionError("version", "text, a number or a date", part);
}

function isList(version: VersionPart | readonly VersionPart[]): version is readonly VersionPart[] {
  return Array.isArray(version);
}

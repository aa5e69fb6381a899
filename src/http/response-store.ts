import { randomBytes } from "node:crypto";
import type { Cache, LoaderContext, LoadOptions } from "../api.js";
import { MAX_DURATION } from "../duration.js";
import { CacheError } from "../errors.js";
import { markMatcher } from "../inspect/mark-matcher.js";
import type { Mark } from "../invalidation/record.js";
import { encodeTag, inNamespace, type Segment } from "../keys.js";
import { cacheGroups, groupTag } from "./cache-groups.js";
import { acceptsEncoding, isDecodable } from "./encoding.js";
import type { Fields } from "./fields.js";
import { KnownKeys } from "./known-keys.js";
import { correctedInitialAge, freshnessLifetime } from "./freshness.js";
import type { ResolvedHttpOptions } from "./options.js";
import { strongTag } from "./partial.js";
import { packed, type PackedResponse } from "./packed-response.js";
import { asHeld, asStored, type StoredResponse, type VaryRecord } from "./stored-response.js";
import { MAX_TAGS, surrogateTags } from "./surrogate-tags.js";
import { urlKey, urlTag, variantKey } from "./url-key.js";
import { VariantTags } from "./variant-tags.js";
import { varyKey, varyNames, type VaryNames } from "./vary.js";

/** Where the response to a request is, or would be. */
export interface Place {
  /** The URL's own key. */
  readonly url: readonly Segment[];
  /** Under what its responses are stored: the URL's key, with the content's digest for a QUERY. */
  readonly key: readonly Segment[];
  /** Where this request's response is loaded: the URL's key, or a variant's. */
  readonly target: readonly Segment[];
  /** The target's key as text: names what is under way. */
  readonly id: string;
  /** The URL's record, when its responses vary. */
  readonly record: VaryRecord | undefined;
  /** Something is stored for the URL, for other requests. */
  readonly isVaryMiss: boolean;
  readonly response: StoredResponse | undefined;
  /** It was invalidated softly, or has been kept for longer than it was fresh. */
  readonly outdated: boolean;
  /** What is stored of it is incomplete, and no answer to this request (RFC 9111 §3.3). */
  readonly part?: StoredResponse | undefined;
}

/** A request looks in memory, for what is fresh and for what is stale, and then loads: the last look is the miss that counts. */
const UNCOUNTED = { countMiss: false } as const;

/** Two users of a private cache are told apart by these, whatever the response says it varies on. */
const CREDENTIALS: readonly string[] = ["authorization", "cookie"];

/**
 * Responses in a cache.
 *
 * A URL's key holds its response, or where responses vary a record of what they vary on; then each variant has a key of its own, which
 * contains the record's generation. A load stores under the key it was begun for, so that it is fenced: what was invalidated
 * after it began is not there when it ends. The first response that varies is loaded under the URL's key, and the record gets its
 * tags, so the record falls where the variant would have had to.
 */
export class ResponseStore {
  readonly #cache: Cache;
  readonly #options: ResolvedHttpOptions;
  readonly #room: string;
  readonly #known: KnownKeys;
  readonly #variantTags = new VariantTags();

  constructor(cache: Cache, options: ResolvedHttpOptions) {
    this.#cache = cache;
    this.#options = options;
    this.#room = options.shared ? "shared" : "private";
    this.#known = new KnownKeys(this.#room);
  }

  /** @param query the digest of a QUERY's content. */
  async find(address: URL, request: Fields, query?: string): Promise<Place> {
    const url = urlKey(this.#room, address);
    const key = query === undefined ? url : [...url, "#query", query];
    const first = await this.#read(key);
    const stored = first?.stored;
    const nothing = { url, key, target: key, id: idOf(key), record: undefined, response: undefined, outdated: false };
    if (first === undefined || stored === undefined) return { ...nothing, isVaryMiss: false };
    if (stored.kind === "response") {
      const isMatch = varyKey(stored.vary, request) === stored.varyKey;
      if (!isMatch) return { ...nothing, isVaryMiss: true };
      return { ...nothing, isVaryMiss: false, response: stored, outdated: first.outdated };
    }
    const target = variantKey(key, stored.generation, varyKey(stored.names, request));
    const found = await this.#read(target);
    const response = found?.stored?.kind === "response" ? found.stored : undefined;
    return {
      url,
      key,
      target,
      id: idOf(target),
      record: stored,
      isVaryMiss: response === undefined,
      response,
      outdated: first.outdated || found?.outdated === true,
    };
  }

  /** The fresh response in memory that answers a request, as it is held; synchronous. */
  peek(url: URL, request: Fields): PackedResponse | undefined {
    const { segments, path } = this.#known.of(url);
    const held = asHeld(this.#cache.peek(path, UNCOUNTED));
    if (held === undefined) return undefined;
    if (held.kind === "response") return isAnswerTo(held, request) ? held : undefined;
    const target = variantKey(segments, held.generation, varyKey(held.names, request));
    const variant = asHeld(this.#cache.peek(target, UNCOUNTED));
    return variant?.kind === "response" ? variant : undefined;
  }

  /**
   * Loads at a place, and stores what comes unless it is `undefined`. Once only the body is to come, `load` gives its place at the
   * cache's gate back (`context.release`).
   *
   * @returns what another process has stored meanwhile, if `load` was not called.
   */
  async load(
    place: Place,
    request: Fields,
    forced: boolean,
    load: (context: LoaderContext) => Promise<StoredResponse | undefined>,
  ): Promise<StoredResponse | undefined> {
    let isCalled = false;
    const loaded = await this.#cache.getOrLoad<unknown>(
      place.target,
      async (context) => {
        isCalled = true;
        const response = await load(context);
        const kept = response && (await this.#keep(place, request, response, context));
        if (kept === undefined) context.skip();
        return kept?.kind === "response" ? packed(kept) : kept;
      },
      { ...this.#policy(), forceFresh: forced },
    );
    if (isCalled) return undefined;
    const stored = asStored(loaded);
    if (stored?.kind !== "vary") return stored;
    const again = await this.#read(variantKey(place.key, stored.generation, varyKey(stored.names, request)));
    return again?.stored?.kind === "response" ? again.stored : undefined;
  }

  /**
   * Tags of the URL's other stored variants, for the origin to choose from (RFC 9111 §4.3.1). None in a private cache: variants are
   * users' there, and one's is nothing for another.
   */
  otherTags(place: Place): readonly string[] {
    if (!this.#options.shared || place.record === undefined) return [];
    return this.#variantTags.of(idOf(place.key)).map(({ tag }) => tag);
  }

  /** The stored variant of the place's URL with this strong tag. */
  async withTag(place: Place, tag: string, request: Fields): Promise<StoredResponse | undefined> {
    const known = this.#variantTags.of(idOf(place.key)).find((one) => one.tag === tag);
    const stored = known && (await this.#read(known.target))?.stored;
    if (stored?.kind !== "response" || stored.part !== undefined) return undefined;
    // An origin that has one tag for all encodings must not make a client of another get this one.
    if (!acceptsEncoding(stored.fields, request) && !isDecodable(stored.fields, this.#options)) return undefined;
    return strongTag(stored.fields)?.opaque === tag ? stored : undefined;
  }

  /** The names other requests must agree on, those that tell users apart included; `undefined` for a response to nobody else. */
  varyOf(response: Fields): readonly string[] | undefined {
    const names = this.#namesOf(response);
    if (names === "*") return undefined;
    return this.#options.shared ? names : [...new Set([...names, ...CREDENTIALS])].sort();
  }

  /**
   * Whether an invalidation of these marks hits what is loaded at a place.
   *
   * @param path the target's, as the cache has it.
   * @param fields the response's, as far as they are known.
   */
  isHit(marks: readonly Mark[], path: string, place: Place, fields: Fields): boolean {
    const namespace = path.startsWith("/") ? path.slice(0, path.indexOf(":")) : "";
    const tags = [urlTag(place.url), ...namedTags(place, fields).filter(isTag)];
    const paths = tags.map((tag) => inNamespace(namespace, encodeTag(tag)));
    return markMatcher(marks)(path, paths);
  }

  /** Removes a place's response. */
  async remove(place: Place): Promise<void> {
    await this.#cache.delete(place.target);
  }

  /**
   * Removes what is stored for URLs, with all variants, and the responses of groups of one origin.
   *
   * @param groups those of the first URL's origin (RFC 9875 §3).
   */
  async removeUrls(urls: readonly string[], groups: readonly string[] = []): Promise<void> {
    const keys = urls.map((url) => urlKey(this.#room, new URL(url)));
    const [first] = keys;
    if (first === undefined) return;
    const queries = this.#options.query ? keys.map(urlTag) : [];
    const tags = [...queries, ...groups.map((group) => groupTag(first, group)).filter(isTag)];
    await this.#cache.invalidate(tags.length === 0 ? { keys } : [{ keys }, { tags }]);
  }

  /** What the loader at a place returns: the response, a record of what it varies on, or nothing. */
  async #keep(
    place: Place,
    request: Fields,
    response: StoredResponse,
    context: LoaderContext,
  ): Promise<StoredResponse | VaryRecord | undefined> {
    const tags = tagsOf(place, response.fields);
    if (tags === undefined) return undefined;
    const ttl = this.#ttl(response);
    if (place.record !== undefined) {
      // Other names than the record's: the next request begins anew under a record that has them all.
      if (!response.vary.every((name) => place.record?.names.includes(name))) {
        await this.#cache.delete(place.key);
        return undefined;
      }
      this.#describe(context, ttl, [...tags, urlTag(place.url)]);
      this.#rememberTag(place.key, place.target, response);
      return response;
    }
    const named = this.#namesOf(response.fields);
    const varies = named !== "*" && named.length > 0;
    if (!varies && !place.isVaryMiss) {
      this.#describe(context, ttl, tags);
      return response;
    }
    const record: VaryRecord = {
      kind: "vary",
      names: response.vary,
      generation: randomBytes(9).toString("base64url"),
    };
    const target = variantKey(place.key, record.generation, varyKey(record.names, request));
    this.#rememberTag(place.key, target, response);
    await this.#cache.getOrLoad<unknown>(
      target,
      (variant) => {
        this.#describe(variant, ttl, [...tags, urlTag(place.url)]);
        return packed(response);
      },
      this.#policy(),
    );
    this.#describe(context, MAX_DURATION, tags);
    return record;
  }

  /** What it varies on, without the encodings it can be given in. */
  #namesOf(response: Fields): VaryNames {
    const names = varyNames(response);
    if (names === "*" || !isDecodable(response, this.#options)) return names;
    return names.filter((name) => name !== "accept-encoding");
  }

  #rememberTag(key: readonly Segment[], target: readonly Segment[], { fields, part }: StoredResponse): void {
    const tag = strongTag(fields);
    if (tag !== undefined && part === undefined) this.#variantTags.remember(idOf(key), tag.opaque, target);
  }

  #describe(context: LoaderContext, ttl: number, tags: readonly (string | readonly Segment[])[]): void {
    context.ttl(ttl);
    context.tags(...tags);
  }

  /** The rest of its freshness. A response of none is kept as well, as one that has just become stale. */
  #ttl(response: StoredResponse): number {
    const left = freshnessLifetime(response, this.#options) - correctedInitialAge(response);
    return Math.min(MAX_DURATION, Math.max(1, left));
  }

  #policy(): LoadOptions {
    const { keepStale, loadTimeout } = this.#options;
    return {
      ttl: MAX_DURATION,
      maxTtl: MAX_DURATION,
      jitter: 0,
      sliding: false,
      earlyRefresh: 0,
      staleWhileRevalidate: 0,
      staleIfError: keepStale,
      hardTimeout: loadTimeout,
      softTimeout: undefined,
      fed: false,
      ...UNCOUNTED,
    };
  }

  async #read(
    key: readonly Segment[],
  ): Promise<{ readonly stored: StoredResponse | VaryRecord; readonly outdated: boolean } | undefined> {
    const fresh = asStored(await this.#cache.get(key, UNCOUNTED));
    if (fresh !== undefined) return { stored: fresh, outdated: false };
    const stale = asStored(await this.#cache.get(key, { stale: true }));
    return stale === undefined ? undefined : { stored: stale, outdated: true };
  }
}

/** The response's tags; `undefined` when it could not be purged by all of them: too many, or one that is no tag. */
function tagsOf(place: Place, fields: Fields): readonly (string | readonly Segment[])[] | undefined {
  const { url, key } = place;
  const tags = namedTags(place, fields);
  if (tags.length > MAX_TAGS || !tags.every(isTag)) return undefined;
  // A QUERY's key is not its URL's.
  return key === url ? tags : [...tags, urlTag(url)];
}

/** The tags that a response names, good or not. */
function namedTags({ url }: Place, fields: Fields): readonly (string | readonly Segment[])[] {
  const groups = cacheGroups(fields, "cache-groups");
  return [...surrogateTags(fields), ...groups, ...groups.map((group) => groupTag(url, group))];
}

function isTag(tag: string | readonly Segment[]): boolean {
  try {
    return encodeTag(tag) !== "";
  } catch (error) {
    if (error instanceof CacheError) return false;
    throw error;
  }
}

/** Whether a response that does not vary, or has no record yet, is for this request. */
function isAnswerTo({ vary, varyKey: own }: PackedResponse, request: Fields): boolean {
  return vary.length === 0 || varyKey(vary, request) === own;
}

function idOf(key: readonly Segment[]): string {
  return JSON.stringify(key);
}

import { randomBytes } from "node:crypto";
import type { Cache, LoaderContext, LoadOptions } from "../api.js";
import { MAX_DURATION } from "../duration.js";
import { CacheError } from "../errors.js";
import { encodeTag, type Segment } from "../keys.js";
import type { Fields } from "./fields.js";
import { correctedInitialAge, freshnessLifetime } from "./freshness.js";
import type { ResolvedHttpOptions } from "./options.js";
import { asStored, type StoredResponse, type VaryRecord } from "./stored-response.js";
import { MAX_TAGS, surrogateTags } from "./surrogate-tags.js";
import { urlKey, urlTag, variantKey } from "./url-key.js";
import { varyKey, varyNames } from "./vary.js";

/** Where the response to a request is, or would be. */
export interface Place {
  /** The URL's own key. */
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
}

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

  constructor(cache: Cache, options: ResolvedHttpOptions) {
    this.#cache = cache;
    this.#options = options;
    this.#room = options.shared ? "shared" : "private";
  }

  async find(url: URL, request: Fields): Promise<Place> {
    const key = urlKey(this.#room, url);
    const first = await this.#read(key);
    const stored = first?.stored;
    const nothing = { key, target: key, id: idOf(key), record: undefined, response: undefined, outdated: false };
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
      key,
      target,
      id: idOf(target),
      record: stored,
      isVaryMiss: response === undefined,
      response,
      outdated: first.outdated || found?.outdated === true,
    };
  }

  /**
   * Loads at a place, and stores what comes unless it is `undefined`.
   *
   * @returns what another process has stored meanwhile, if `load` was not called.
   */
  async load(
    place: Place,
    request: Fields,
    forced: boolean,
    load: (signal: AbortSignal) => Promise<StoredResponse | undefined>,
  ): Promise<StoredResponse | undefined> {
    let isCalled = false;
    const loaded = await this.#cache.getOrLoad<unknown>(
      place.target,
      async (context) => {
        isCalled = true;
        const response = await load(context.signal);
        const kept = response && (await this.#keep(place, request, response, context));
        if (kept === undefined) context.skip();
        return kept;
      },
      { ...this.#policy(), forceFresh: forced },
    );
    if (isCalled) return undefined;
    const stored = asStored(loaded);
    if (stored?.kind !== "vary") return stored;
    const again = await this.#read(variantKey(place.key, stored.generation, varyKey(stored.names, request)));
    return again?.stored?.kind === "response" ? again.stored : undefined;
  }

  /** The names other requests must agree on, those that tell users apart included; `undefined` for a response to nobody else. */
  varyOf(response: Fields): readonly string[] | undefined {
    const names = varyNames(response);
    if (names === "*") return undefined;
    return this.#options.shared ? names : [...new Set([...names, ...CREDENTIALS])].sort();
  }

  /** Removes a place's response. */
  async remove(place: Place): Promise<void> {
    await this.#cache.delete(place.target);
  }

  /** Removes what is stored for URLs, with all variants. */
  async removeUrls(urls: readonly string[]): Promise<void> {
    const keys = urls.map((url) => urlKey(this.#room, new URL(url)));
    if (keys.length > 0) await this.#cache.invalidate({ keys });
  }

  /** What the loader at a place returns: the response, a record of what it varies on, or nothing. */
  async #keep(
    place: Place,
    request: Fields,
    response: StoredResponse,
    context: LoaderContext,
  ): Promise<StoredResponse | VaryRecord | undefined> {
    const tags = tagsOf(response.fields);
    if (tags === undefined) return undefined;
    const ttl = this.#ttl(response);
    if (place.record !== undefined) {
      // Other names than the record's: the next request begins anew under a record that has them all.
      if (!response.vary.every((name) => place.record?.names.includes(name))) {
        await this.#cache.delete(place.key);
        return undefined;
      }
      this.#describe(context, ttl, [...tags, urlTag(place.key)]);
      return response;
    }
    const named = varyNames(response.fields);
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
    await this.#cache.getOrLoad<unknown>(
      variantKey(place.key, record.generation, varyKey(record.names, request)),
      (variant) => {
        this.#describe(variant, ttl, [...tags, urlTag(place.key)]);
        return response;
      },
      this.#policy(),
    );
    this.#describe(context, MAX_DURATION, tags);
    return record;
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
    };
  }

  async #read(
    key: readonly Segment[],
  ): Promise<{ readonly stored: StoredResponse | VaryRecord; readonly outdated: boolean } | undefined> {
    const fresh = asStored(await this.#cache.get(key));
    if (fresh !== undefined) return { stored: fresh, outdated: false };
    const stale = asStored(await this.#cache.get(key, { stale: true }));
    return stale === undefined ? undefined : { stored: stale, outdated: true };
  }
}

/** The response's tags; `undefined` when it could not be purged by all of them: too many, or one that is no tag. */
function tagsOf(fields: Fields): readonly string[] | undefined {
  const tags = surrogateTags(fields);
  return tags.length > MAX_TAGS || !tags.every(isTag) ? undefined : tags;
}

function isTag(text: string): boolean {
  try {
    return encodeTag(text) !== "";
  } catch (error) {
    if (error instanceof CacheError) return false;
    throw error;
  }
}

function idOf(key: readonly Segment[]): string {
  return JSON.stringify(key);
}

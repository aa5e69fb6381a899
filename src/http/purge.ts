import type { Cache, InvalidateOptions, InvalidationResult, InvalidationTarget } from "../api.js";
import { CacheError } from "../errors.js";
import { display } from "../policy.js";
import { urlKey, urlTag } from "./url-key.js";

/** What of the stored responses is purged. */
export type PurgeTarget =
  /** Of this URL, in all its variants. */
  | { readonly url: string | URL }
  /** With this tag, and whatever else in the cache has it. */
  | { readonly tag: string }
  /** Below this URL's path, which counts by whole segments; queries included. */
  | { readonly prefix: string | URL }
  /** All responses. */
  | { readonly all: true };

/**
 * Removes stored responses from every tier and process, private and shared ones alike; `{ mode: "soft" }` makes them stale
 * instead: served while they are validated, or when the origin fails, where their own directives allow it.
 *
 * @throws CacheError `ERR_CACHE_KEY` for what is no target.
 */
export function purge(
  cache: Cache,
  target: PurgeTarget | readonly PurgeTarget[],
  options: InvalidateOptions = {},
): Promise<InvalidationResult> {
  return cache.invalidate(listOf(target).flatMap(targetsOf), options);
}

/** One target, or many, as many. @internal */
export function listOf(target: PurgeTarget | readonly PurgeTarget[]): readonly PurgeTarget[] {
  return isList(target) ? target : [target];
}

/** The URL a target names. @throws CacheError `ERR_CACHE_KEY` unless it is absolute. @internal */
export function purgedUrl(text: string | URL): URL {
  if (!URL.canParse(String(text))) {
    throw new CacheError("ERR_CACHE_KEY", `Expected a URL to purge to be absolute, got \`${display(text)}\``);
  }
  const url = new URL(text);
  url.hash = "";
  return url;
}

/** @internal */
export function notATarget(target: unknown): CacheError {
  const forms = "{ url }, { tag }, { prefix } or { all: true }";
  return new CacheError("ERR_CACHE_KEY", `Expected what to purge to be ${forms}, got \`${display(target)}\``);
}

/** The rooms of the faces that store responses; "undici" is that of its `CacheStore`. */
const ROOMS: readonly string[] = ["private", "shared", "undici"];

function targetsOf(target: PurgeTarget): InvalidationTarget[] {
  if (typeof target !== "object" || target === null) throw notATarget(target);
  if ("url" in target) {
    const url = purgedUrl(target.url);
    return ROOMS.flatMap((room) => {
      const key = urlKey(room, url);
      return [{ key }, { tag: urlTag(key) }];
    });
  }
  if ("tag" in target) return [{ tag: target.tag }];
  if ("prefix" in target) {
    const url = purgedUrl(target.prefix);
    // A slash at its end is not a segment of what lies below.
    url.pathname = url.pathname.replace(/\/+$/, "");
    return ROOMS.map((room) => {
      const key = urlKey(room, url);
      return { prefix: key.at(-1) === "" ? key.slice(0, -1) : key };
    });
  }
  if ("all" in target && (target.all as unknown) === true) return ROOMS.map((room) => ({ prefix: ["http", room] }));
  throw notATarget(target);
}

function isList(target: PurgeTarget | readonly PurgeTarget[]): target is readonly PurgeTarget[] {
  return Array.isArray(target);
}

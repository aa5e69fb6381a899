import { CacheError } from "../../errors.js";
import { display } from "../../policy.js";
import { notATarget, purgedUrl, type PurgeTarget } from "../purge.js";
import type { NormalTarget } from "./purger.js";

/**
 * A target in the form in which it is compared, batched and sent.
 *
 * @throws CacheError `ERR_CACHE_KEY` for what is none.
 */
export function normalTarget(target: PurgeTarget): NormalTarget {
  if (typeof target !== "object" || target === null) throw notATarget(target);
  if ("url" in target) {
    const url = webUrl(target.url);
    return { kind: "url", id: `url ${url.href}`, url };
  }
  if ("prefix" in target) {
    const url = webUrl(target.prefix);
    url.search = "";
    url.pathname = url.pathname.replace(/\/+$/, "");
    return { kind: "prefix", id: `prefix ${url.href}`, url };
  }
  if ("tag" in target) {
    if (typeof target.tag !== "string" || target.tag === "") throw notATarget(target);
    return { kind: "tag", id: `tag ${target.tag}`, tag: target.tag };
  }
  if ("all" in target && (target.all as unknown) === true) return { kind: "all", id: "all" };
  throw notATarget(target);
}

/** Back in the form that callers give. */
export function purgeTargetOf(target: NormalTarget): PurgeTarget {
  switch (target.kind) {
    case "url":
      return { url: target.url.href };
    case "prefix":
      return { prefix: target.url.href };
    case "tag":
      return { tag: target.tag };
    case "all":
      return { all: true };
  }
}

function webUrl(given: string | URL): URL {
  const url = purgedUrl(given);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new CacheError("ERR_CACHE_KEY", `Expected a URL to purge to be of http or https, got \`${display(given)}\``);
  }
  url.username = "";
  url.password = "";
  return url;
}

import { surrogateText } from "../../dependency-tag.js";
import type { Mark } from "../../invalidation/record.js";
import { headerTag, segmentText } from "../headers/surrogate-keys.js";
import type { PurgeTarget } from "../purge.js";

/** What a mark means outside of the cache. */
export interface MarkTargets {
  /** For our own HTTP caches: what their tags do not say already. */
  readonly own: readonly PurgeTarget[];
  /** For everybody else. */
  readonly outward: readonly PurgeTarget[];
  /** No surrogate key names it: only purging everything would reach all of it. */
  readonly isWide: boolean;
}

export interface MarkRules {
  /** Keys that are no entity's are forwarded. */
  readonly keys: boolean;
  /** Origins whose stored responses are purged by URL outside as well when they are here. */
  readonly origins: ReadonlySet<string>;
}

const NOTHING: MarkTargets = { own: [], outward: [], isWide: false };
const WIDE: MarkTargets = { own: [], outward: [], isWide: true };

/** What must be purged where when a mark was invalidated. */
export function markTargets(mark: Mark, rules: MarkRules): MarkTargets {
  switch (mark.kind) {
    case "key":
      return keyTargets(mark.key, rules);
    case "tag":
      return tagTargets(mark.tag);
    case "tags": {
      // Whatever has all of them has the first that can be named.
      const named = mark.tags.map(tagTargets).find(({ outward }) => outward.length > 0);
      return named ?? WIDE;
    }
    case "prefix":
      return prefixTargets(mark.prefix, rules);
    case "pattern":
    case "all":
      return WIDE;
  }
}

/** An entity's path ends in a bare version, which no other key does. Its namespace does not count: outside there are none. */
function keyTargets(path: string, rules: MarkRules): MarkTargets {
  const name = withoutNamespace(path);
  const version = /:v\d+$/.exec(name);
  if (version !== null) return everywhere(surrogateText(`~${name.slice(0, version.index)}`));
  if (name.startsWith("http:")) return urlTargets(name, rules, false);
  return rules.keys ? everywhere(surrogateText(`=${name}`)) : NOTHING;
}

function tagTargets(path: string): MarkTargets {
  const name = withoutNamespace(path);
  if (name.startsWith("global:http-url:")) return NOTHING;
  if (name.startsWith("~")) return entityTagTargets(name);
  const text = headerTag(name);
  if (text === undefined) return everywhere(surrogateText(`@${name}`));
  // The response's own tag, wherever it is stored here: forwarding it to ourselves would go round for ever.
  return { own: [], outward: [{ tag: text }], isWide: false };
}

/** `~contact` is all of an entity, `~contact:acme:7` what belongs to one row. */
function entityTagTargets(name: string): MarkTargets {
  const [entity = "", scope, ...id] = name.slice(1).split(":");
  const path = scope === undefined ? entity : [scope, entity, ...id].join(":");
  return everywhere(surrogateText(`~${path}`));
}

function prefixTargets(path: string, rules: MarkRules): MarkTargets {
  const name = withoutNamespace(path);
  if (name === "http" || name.startsWith("http:")) return urlTargets(name, rules, true);
  // `acme:contact:` is all of an entity in a scope.
  return /^[^:]+:[^:]+:$/.test(name) ? everywhere(surrogateText(`~${name}`)) : WIDE;
}

/** A stored response's own key, which says its URL: `http:shared:https%3A//example.org:path:%3Fa%3D1`. */
function urlTargets(name: string, rules: MarkRules, isPrefix: boolean): MarkTargets {
  const [, , origin, ...path] = name.split(":").map(segmentText);
  if (origin === undefined || !rules.origins.has(origin) || path.includes("#")) return NOTHING;
  const last = path.at(-1);
  const query = last?.startsWith("?") === true ? last : "";
  const segments = query === "" ? path : path.slice(0, -1);
  const href = `${origin}/${segments.join("/")}${query}`;
  if (!URL.canParse(href)) return NOTHING;
  return { own: [], outward: [isPrefix ? { prefix: href } : { url: href }], isWide: false };
}

function everywhere(tag: string): MarkTargets {
  const targets = [{ tag }];
  return { own: targets, outward: targets, isWide: false };
}

/** `/a:user:1` is `user:1` in the namespace `a`. */
function withoutNamespace(path: string): string {
  return path.startsWith("/") ? path.slice(path.indexOf(":") + 1) : path;
}

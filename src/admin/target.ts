import type { InvalidationTarget } from "../api.js";
import { entityPath } from "../declared-entities.js";
import { CacheError } from "../errors.js";
import type { CacheInspector } from "../inspect/inspector.js";
import type { Mark } from "../invalidation/record.js";

/** What is looked for, or purged, as it is written in a form. */
export interface AdminTarget {
  readonly kind: "key" | "tag" | "prefix" | "pattern" | "entity" | "all";
  /** As one writes it in code; an entity's key is written as its path. Empty for `all`. */
  readonly text: string;
  /** Whether the text of a key or a tag is its canonical path, as entries and events name it: `user%201`, where code says `user 1`. */
  readonly canonical?: true | undefined;
  /** Of a tag or an entity, one tenant. */
  readonly scope?: string | undefined;
}

const KINDS: readonly AdminTarget["kind"][] = ["key", "tag", "prefix", "pattern", "entity", "all"];
/** What the cache keeps for itself: notes of its processes, locks. */
const OWN = /^[~!]/;
const LONGEST = 8_192;

/** @throws CacheError `ERR_CACHE_KEY` for what is no target. */
export function parseTarget(input: unknown): AdminTarget {
  const {
    kind,
    text = "",
    scope,
    canonical,
  } = (typeof input === "object" && input !== null ? input : {}) as Readonly<Record<string, unknown>>;
  const known = KINDS.find((one) => one === kind);
  if (known === undefined) throw bad(`one of ${KINDS.join(", ")}`, "kind");
  if (typeof text !== "string" || text.length > LONGEST || (text === "" && known !== "all"))
    throw bad(`text of 1 to ${LONGEST} characters`, "text");
  if (scope !== undefined && typeof scope !== "string") throw bad("text", "scope");
  return {
    kind: known,
    text: known === "all" ? "" : text,
    ...(scope !== undefined && scope !== "" && { scope }),
    ...((known === "key" || known === "tag") && (canonical === true || canonical === "true") && { canonical: true }),
  };
}

/** What an invalidation of it would name. @throws CacheError `ERR_CACHE_KEY`. */
export function marksOf(inspector: CacheInspector, target: AdminTarget): readonly Mark[] {
  const { kind, text, scope, canonical } = target;
  switch (kind) {
    case "key":
      if (canonical === true && OWN.test(text)) throw bad("the path of an entry", "text");
      return canonical === true || isPath(text) ? [{ kind: "key", key: text }] : inspector.marksOf({ key: text });
    case "tag":
      // The cache's own tags, and those of a namespace, cannot be written otherwise.
      if (canonical === true || text.startsWith("~") || text.startsWith("/")) return [{ kind: "tag", tag: text }];
      return inspector.marksOf({ tag: text, scope });
    case "prefix":
      return text.startsWith("/") ? [{ kind: "prefix", prefix: text }] : inspector.marksOf({ prefix: text });
    case "pattern":
      return inspector.marksOf({ pattern: text });
    case "entity":
      return inspector.marksOf({ entity: text, scope } satisfies InvalidationTarget);
    case "all":
      return [{ kind: "all" }];
  }
}

/** Whether a key is written as a canonical path: an entity's entry, or one in a namespace. No raw key looks like that. */
function isPath(text: string): boolean {
  return text.startsWith("/") || entityPath(text) !== undefined;
}

function bad(rule: string, field: string): CacheError {
  return new CacheError("ERR_CACHE_KEY", `Expected \`${field}\` to be ${rule}`);
}

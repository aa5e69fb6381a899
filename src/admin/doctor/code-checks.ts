import type { Cache } from "../../api.js";
import type { EntityFacts } from "../../inspect/inspector.js";
import { span } from "../../spans.js";
import { entityName, type StoredEntity } from "./entry-checks.js";
import { findings, type Finding, type Level } from "./finding.js";

const found = findings("code");
const TOLD = 'feed.table("…", { entity, id }), or tags and belongsTo with invalidate() where it is written';

/** What the code says of its caches: tiers, and for each entity what ends its entries, and how its shape is guarded. */
export function checkCode(cache: Cache, stored: readonly StoredEntity[]): readonly Finding[] {
  const { entities } = cache.inspect();
  const { shared, memory, feed } = cache.stats();
  const all: Finding[] = [
    memory === undefined
      ? found("memory", "warn", `${cache.name} has no memory tier: every read is a round trip`, "tiers: [memory(), …]")
      : found("memory", "ok", `${cache.name} has a memory tier with a bound`),
    shared === undefined
      ? found(
          "shared tier",
          "warn",
          `${cache.name} has no shared tier: processes do not hear of each other's invalidations`,
          "tiers: [memory(), redis(client)]",
        )
      : found("shared tier", "ok", `${cache.name} has a shared tier: ${shared.kind}`),
  ];
  if (entities.length === 0)
    all.push(
      found(
        "entities",
        "warn",
        `${cache.name} declares no entity: keys are text, without version, schema or scope`,
        "cache.entity({ name, load })",
      ),
    );
  for (const entity of entities) {
    const live = stored.find(({ name }) => name === entity.name);
    all.push(
      checkInvalidation(entity, feed !== undefined, live),
      ...checkShape(entity, live),
      ...checkFallback(entity),
    );
  }
  return all;
}

function checkInvalidation(entity: EntityFacts, hasFeed: boolean, live: StoredEntity | undefined): Finding {
  const check = `invalidation of ${entityName(entity.name)}`;
  const { declared } = entity;
  if (hasFeed && declared.fed) return found(check, "ok", "the feed of changes tells of it");
  const reasons: string[] = [];
  if (declared.tags) reasons.push("it has tags");
  if (declared.parents.length > 0) reasons.push(`it belongs to ${declared.parents.join(", ")}`);
  // The entity's own tag, and its parents', begin with a tilde; others were given.
  if (reasons.length === 0 && live?.entries.some(({ facts }) => facts.tags.length > 1) === true)
    reasons.push("its entries carry tags");
  if (reasons.length > 0) return found(check, "ok", reasons.join(", "));
  const ttl = live?.entries[0]?.facts.ttl;
  return found(
    check,
    "warn",
    `nothing declares what makes it outdated: only invalidate() by id, or its ttl${ttl === undefined ? "" : ` (${span(ttl)})`}, ends an entry`,
    TOLD,
  );
}

function checkShape(entity: EntityFacts, live: StoredEntity | undefined): readonly Finding[] {
  const { name, version, declared, sensitive } = entity;
  const [level, text]: [Level, string] = declared.schema
    ? ["ok", `version ${version}, checked by its schema`]
    : [
        "warn",
        `version ${version}, and no schema: a value of another shape is served until somebody raises the version`,
      ];
  const mend = declared.schema ? undefined : "schema: z.object({ … })";
  const all: Finding[] = [found(`schema of ${entityName(name)}`, level, text, mend)];
  const newer = [...(live?.versions.keys() ?? [])].filter((one) => one > version);
  if (newer.length > 0)
    all.push(
      found(
        `version of ${entityName(name)}`,
        "warn",
        `entries of version ${newer.join(", ")} are stored, and this code declares ${version}: it is older than what runs`,
        `deploy the release that declares version ${Math.max(...newer)}`,
      ),
    );
  if (sensitive === true || sensitive.length > 0)
    all.push(
      found(
        `sensitive fields of ${entityName(name)}`,
        "ok",
        sensitive === true ? "all of it is encrypted" : `encrypted or left out: ${sensitive.join(", ")}`,
      ),
    );
  return all;
}

function checkFallback({ name, declared }: EntityFacts): readonly Finding[] {
  const check = `fallback of ${entityName(name)}`;
  if (declared.staleIfError > 0)
    return [found(check, "ok", `served stale for ${span(declared.staleIfError)} when its source fails`)];
  return [found(check, "warn", "its readers get the loader's error once it is past its ttl", 'staleIfError: "1h"')];
}

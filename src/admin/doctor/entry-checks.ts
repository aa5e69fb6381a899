import type { Cache } from "../../api.js";
import { showValue } from "../show-value.js";
import { entityPath } from "../../declared-entities.js";
import type { EntryFacts } from "../../inspect/inspect-entry.js";
import { integer } from "../../figures.js";
import { plainText } from "../../plain-text.js";
import { findings, type Finding } from "./finding.js";

/** What entries of one entity, as they are stored, say of it. */
export interface StoredEntity {
  readonly name: string;
  readonly versions: ReadonlyMap<number, number>;
  /** Some of its entries, decoded, with their length as they are stored. */
  readonly entries: readonly { readonly key: string; readonly facts: EntryFacts; readonly bytes: number }[];
}

const found = findings("entries");
/** Keys listed of a cache, and entries read of each entity. */
const MOST_KEYS = 5_000;
const MOST_READ = 20;
const REDACTED = /['"]?([\w$-]+)['"]?(?: =>|:) '\[redacted\]'/g;

/** Reads some entries of each entity, of one entity after the other: what is looked at serves others meanwhile. */
export async function readEntities(cache: Cache): Promise<readonly StoredEntity[]> {
  const inspector = cache.inspect();
  const { keys } = await inspector.shared({ marks: [{ kind: "all" }], sample: MOST_KEYS, most: MOST_KEYS });
  const byEntity = new Map<string, { versions: Map<number, number>; keys: string[] }>();
  for (const key of keys) {
    const path = entityPath(key);
    const name = path?.entity ?? "";
    const one = byEntity.get(name) ?? { versions: new Map<number, number>(), keys: [] };
    byEntity.set(name, one);
    if (path !== undefined) one.versions.set(path.version, (one.versions.get(path.version) ?? 0) + 1);
    if (one.keys.length < MOST_READ) one.keys.push(key);
  }
  const entities: StoredEntity[] = [];
  for (const [name, { versions, keys: some }] of byEntity) {
    const read = await Promise.all(some.map(async (key) => ({ key, entry: await inspector.entry(key) })));
    const entries = read.flatMap(({ key, entry: { shared: facts, steps } }) =>
      facts === undefined ? [] : [{ key, facts, bytes: steps.find(({ what }) => what === "decode")?.bytes ?? 0 }],
    );
    entities.push({ name, versions, entries });
  }
  return entities;
}

/** What is stored readable that should not be, in versions that nobody reads, or with nothing to invalidate it by. */
export function checkEntries(entities: readonly StoredEntity[]): readonly Finding[] {
  if (entities.length === 0) return [found("sensitive fields", "skipped", "there are no entries to look at")];
  return [checkSensitive(entities), checkVersions(entities), checkTags(entities), checkStale(entities)];
}

function checkSensitive(entities: readonly StoredEntity[]): Finding {
  const bad: string[] = [];
  let fields: readonly string[] = [];
  let looked = 0;
  for (const { name, entries } of entities) {
    const readable = new Set<string>();
    for (const { key, facts } of entries) {
      looked += 1;
      const { text, redacted } = showValue(key, facts.value, [], []);
      if (redacted) for (const [, field] of text.matchAll(REDACTED)) readable.add(field ?? "");
    }
    if (readable.size === 0) continue;
    bad.push(`${entityName(name)}: ${[...readable].map(plainText).join(", ")}`);
    if (fields.length === 0) fields = [...readable];
  }
  if (bad.length === 0)
    return found(
      "sensitive fields",
      "ok",
      `none of ${integer(looked)} values holds a readable field that is named like a secret`,
    );
  const list = JSON.stringify(fields);
  return found(
    "sensitive fields",
    "fail",
    `fields that are named like secrets lie readable in the shared tier: ${bad.join("; ")}`,
    `cache.entity({ …, sensitive: ${list}, exclude: ${list} }), or encrypt: ${list} with createCache({ encryption })`,
  );
}

function checkVersions(entities: readonly StoredEntity[]): Finding {
  const several = entities.filter(({ versions }) => versions.size > 1);
  if (several.length === 0) return found("versions", "ok", "entries of each entity are of one version");
  const told = several.map(
    ({ name, versions }) =>
      `${entityName(name)} ${[...versions]
        .sort(([a], [b]) => a - b)
        .map(([version, count]) => `v${version}: ${integer(count)}`)
        .join(", ")}`,
  );
  return found(
    "versions",
    "ok",
    `entries of several versions, as while a deploy rolls (${told.join("; ")}): the old ones are read by nobody new, and expire`,
  );
}

/** Every entity's entry carries its entity's tag; a raw key has only what it was given. */
function checkTags(entities: readonly StoredEntity[]): Finding {
  const raw = entities.find(({ name }) => name === "");
  const bare = raw?.entries.filter(({ facts }) => facts.tags.length === 0) ?? [];
  if (raw === undefined || bare.length === 0)
    return found("tags", "ok", "each entry belongs to an entity or has a tag: it can be invalidated with its like");
  return found(
    "tags",
    "warn",
    `${integer(bare.length)} of ${integer(raw.entries.length)} raw keys looked at have no tag, such as ${plainText(bare[0]?.key ?? "")}: only their key, or their ttl, ends them`,
    "set(key, value, { tags: […] }), or declare an entity",
  );
}

function checkStale(entities: readonly StoredEntity[]): Finding {
  const without = entities.filter(
    ({ entries }) => entries.length > 0 && entries.every(({ facts }) => facts.staleIfError === 0),
  );
  if (without.length === 0)
    return found("stale on error", "ok", "each entity may be served stale when its source is away");
  return found(
    "stale on error",
    "warn",
    `nothing is served when the source is away, once it is past its ttl: ${without.map(({ name }) => entityName(name)).join(", ")}`,
    'staleIfError: "1h"',
  );
}

export function entityName(name: string): string {
  return name === "" ? "raw keys" : plainText(name);
}

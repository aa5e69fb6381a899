import { crc32 } from "node:zlib";

import type { EntityDefinition, ScopedEntityDefinition, StandardResult } from "./api.js";
import type { Engine } from "./engine.js";
import { without } from "./entries/fields.js";
import type { EntryForm } from "./entries/form.js";
import { CacheError } from "./errors.js";
import type { KeyInput } from "./keys.js";
import type { LoadSpec } from "./load/loads.js";
import type { EntryPolicy } from "./options.js";
import {
  display,
  knownOptions,
  optionError,
  POLICY_FIELDS,
  resolvePolicy,
  saysPolicy,
  wholeNumber,
  type ResolvedPolicy,
} from "./policy.js";
import { resolveRowVersions, type RowVersions } from "./row-versions.js";
import type { Counters } from "./stats.js";

/** What is declared in one namespace, by entity name. */
export type EntityRegistry = Map<string, Declared>;

interface Declared {
  /** `undefined` while it is only named as a parent. */
  scoped: boolean | undefined;
  /** Whether a repository declared it; of one only named as a parent, whether one named it. */
  ofRepository: boolean;
  parent: boolean;
  /** An entity without a scope belongs to it. */
  unscopedChild: string | undefined;
}

/** Where an entity is declared. */
export interface EntityHome {
  readonly engine: Engine;
  readonly namespace: string;
  readonly policy: ResolvedPolicy;
  readonly presets: Readonly<Record<string, EntryPolicy>>;
  readonly registry: EntityRegistry;
}

/** In the definition of a repository's entity: names of the parents of its rows. */
export const ROW_PARENTS: unique symbol = Symbol("row parents");

const FIELDS: readonly string[] = [
  ...POLICY_FIELDS,
  "name",
  "version",
  "schema",
  "migrate",
  "load",
  "loadMany",
  "tags",
  "belongsTo",
  "dependents",
  "scope",
  "compression",
  "encrypt",
  "sensitive",
  "exclude",
  "rowVersion",
];
/**
 * Checks a definition and enters it; with the scope's name, if it has one.
 *
 * @throws CacheError `ERR_CACHE_OPTION`; `ERR_CACHE_ENTITY` when the name is declared already.
 */
export function declareEntity<Id extends KeyInput, T>(
  home: EntityHome,
  definition: EntityDefinition<Id, T> | ScopedEntityDefinition<Id, T>,
): { readonly shape: Shape<Id, T>; readonly scope: string | undefined } {
  const { registry } = home;
  if (typeof definition !== "object" || definition === null) throw optionError("definition", "an object", definition);
  knownOptions(definition, FIELDS, "entity");
  const { name } = definition;
  if (typeof name !== "string" || name === "") throw optionError("name", "text that is not empty", name);
  const scope = "scope" in definition ? definition.scope : undefined;
  if (scope !== undefined && (typeof scope !== "string" || scope === ""))
    throw optionError("scope", "the scope's name, as text", scope);
  wholeNumber(definition.version ?? 1, "version", 0);
  for (const field of ["load", "loadMany", "tags", "migrate"] as const) {
    if (definition[field] !== undefined && typeof definition[field] !== "function")
      throw optionError(field, "a function", definition[field]);
  }
  checkSchema(definition.schema);
  const belongsTo: unknown = definition.belongsTo;
  if (belongsTo !== undefined && !isFunctions(belongsTo))
    throw optionError("belongsTo", "functions by the parent's name", belongsTo);
  const { dependents } = definition;
  if (dependents !== undefined && typeof dependents !== "boolean")
    throw optionError("dependents", "true or false", dependents);
  const known = registry.get(name);
  if (known?.scoped !== undefined) {
    throw new CacheError(
      "ERR_CACHE_ENTITY",
      `The entity ${display(name)} is declared already: keep the first and use it`,
    );
  }
  if (scope !== undefined && known?.unscopedChild !== undefined) throw scopeless(known.unscopedChild, name);
  const rowParents = (definition as { readonly [ROW_PARENTS]?: readonly string[] })[ROW_PARENTS];
  const ofRepository = rowParents !== undefined;
  const parents = Object.keys(definition.belongsTo ?? {});
  if (known !== undefined && known.ofRepository !== ofRepository) throw unlike(name);
  for (const parent of rowParents ?? parents) {
    if ((registry.get(parent)?.ofRepository ?? ofRepository) !== ofRepository) throw unlike(parent);
  }
  const scopedParent = parents.find((parent) => registry.get(parent)?.scoped === true);
  if (scope === undefined && scopedParent !== undefined) throw scopeless(name, scopedParent);
  // Made before it is entered: one whose policy is wrong was never declared.
  const shape = new Shape<Id, T>(home, definition);
  home.engine.declared.add(home.namespace, shape);
  registry.set(name, {
    scoped: scope !== undefined,
    ofRepository,
    parent: known?.parent ?? false,
    unscopedChild: known?.unscopedChild,
  });
  const undeclared = { scoped: undefined, ofRepository, parent: false, unscopedChild: undefined };
  // A repository's own tags tie its rows to their parents.
  for (const parent of rowParents ?? []) if (!registry.has(parent)) registry.set(parent, { ...undeclared });
  for (const parent of parents) {
    const record = registry.get(parent) ?? { ...undeclared };
    record.parent = true;
    if (scope === undefined) record.unscopedChild = name;
    registry.set(parent, record);
  }
  return { shape, scope };
}

/** A write of the one tells nothing that the other hears. */
function unlike(parent: string): CacheError {
  return new CacheError(
    "ERR_CACHE_ENTITY",
    `Expected \`belongsTo\` to name an entity in an entity, a repository in a repository, got ${display(parent)}, which is the other: ` +
      "what belongs to it can say so in `tags` (an entity's `tag(id)`)",
  );
}

/** The child's value does not say in which scope its parent is: invalidating the parent would miss it. */
function scopeless(child: string, parent: string): CacheError {
  return new CacheError(
    "ERR_CACHE_ENTITY",
    `The entity ${display(child)} has no scope and cannot belong to ${display(parent)}, which has one`,
  );
}

/** What all scopes of an entity have in common. */
export class Shape<Id extends KeyInput, T> {
  readonly home: EntityHome;
  readonly definition: EntityDefinition<Id, T>;
  readonly version: number;
  readonly policy: ResolvedPolicy;
  readonly counters: Counters;
  readonly fingerprint: number;
  readonly accept: LoadSpec["accept"];
  readonly rows: RowVersions | undefined;
  readonly form: EntryForm;
  readonly #exclude: readonly string[];

  constructor(home: EntityHome, definition: EntityDefinition<Id, T>) {
    this.home = home;
    this.definition = definition;
    this.version = definition.version ?? 1;
    this.policy = resolvePolicy(home.policy, definition, home.presets);
    this.form = home.engine.forms.of(definition);
    this.counters = home.engine.recorder.counters(definition.name);
    this.fingerprint = crc32(`${definition.name}:${this.version}`);
    this.rows = resolveRowVersions(definition.rowVersion, home.engine.clock);
    this.accept = acceptor(definition, (value) => this.kept(value));
    this.#exclude = [...(definition.exclude ?? [])];
  }

  /** A value that a loader or a writer brings, without the fields that are excluded. */
  kept(value: T): T {
    return this.#exclude.length === 0 ? value : (without(value, this.#exclude) as T);
  }

  /** As `kept`, of what a loader returned; a value that is there at once stays so. */
  keptOf(loaded: T | PromiseLike<T>): T | PromiseLike<T> {
    if (this.#exclude.length === 0) return loaded;
    return isThenable(loaded) ? loaded.then((value) => this.kept(value)) : this.kept(loaded);
  }

  resolve(options: EntryPolicy): ResolvedPolicy {
    return saysPolicy(options) ? resolvePolicy(this.policy, options, this.home.presets) : this.policy;
  }
}

/** @throws CacheError `ERR_CACHE_OPTION` unless it follows the Standard Schema contract. */
function checkSchema(schema: unknown): void {
  if (schema === undefined) return;
  if (typeof schema !== "object" && typeof schema !== "function") throw schemaError(schema);
  const standard: unknown = schema === null ? undefined : Reflect.get(schema, "~standard");
  const validate: unknown = (standard as { readonly validate?: unknown } | null | undefined)?.validate;
  if (typeof validate !== "function") throw schemaError(schema);
}

function schemaError(schema: unknown): CacheError {
  return optionError("schema", "a Standard Schema (https://standardschema.dev)", schema);
}

/** Checks a value that comes from the shared tier; one that the schema refuses gets one chance by `migrate`. */
function acceptor<Id extends KeyInput, T>(
  definition: EntityDefinition<Id, T>,
  kept: (value: T) => T,
): LoadSpec["accept"] {
  const { schema, migrate } = definition;
  if (schema === undefined) return undefined;
  const check = async (value: unknown): Promise<{ readonly value: unknown } | undefined> => {
    const result: StandardResult<T> = await schema["~standard"].validate(value);
    return result.issues === undefined ? { value: kept(result.value) } : undefined;
  };
  return async (value) => {
    try {
      const accepted = await check(value);
      if (accepted !== undefined || migrate === undefined) return accepted;
      const migrated = migrate(value);
      return migrated === undefined ? undefined : await check(migrated);
    } catch {
      // A schema or a migration that throws refuses: the miss it makes is counted, and the load makes it good.
      return undefined;
    }
  };
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function isFunctions(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every((one) => typeof one === "function");
}

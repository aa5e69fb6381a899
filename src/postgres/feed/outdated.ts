import type { ChangeTarget, FedEntity } from "../../feed/change-feed.js";
import type { KeyInput, ScopeInput } from "../../keys.js";
import type { Mapping, RowChange } from "../mapping.js";

/** Why all that belongs to a table was invalidated, and not only what belongs to the row. */
export interface Refusal {
  readonly mapping: Mapping;
  readonly error: unknown;
}

/** A row without a scope may belong to any of them. */
export class UnknownScope extends Error {
  override readonly name = "UnknownScope";

  constructor() {
    super("The row has no scope: every scope is invalidated");
  }
}

/** One entity's, in one scope. */
interface Group {
  readonly of: FedEntity | undefined;
  readonly scope: ScopeInput | undefined;
  readonly ids: Map<string, KeyInput>;
  readonly tags: Map<string, KeyInput>;
}

/** What some changes make outdated, each thing once. */
export class Outdated {
  readonly #groups = new Map<string, Group>();
  readonly #whole = new Set<Mapping>();
  readonly #touched = new Set<Mapping>();
  readonly #more: ChangeTarget[] = [];
  #size = 0;

  /** About how many things it names. */
  get size(): number {
    return this.#size;
  }

  /** All of the tables it is about, for when what their mappings said is no target. */
  get coarse(): ChangeTarget[] {
    return [...this.#touched].flatMap(({ whole }) => whole);
  }

  /** All that belongs to a table. */
  addWhole(mapping: Mapping): void {
    this.#touched.add(mapping);
    if (this.#whole.has(mapping)) return;
    this.#whole.add(mapping);
    this.#size += mapping.whole.length;
  }

  isWhole(mapping: Mapping): boolean {
    return this.#whole.has(mapping);
  }

  addTargets(targets: readonly ChangeTarget[]): void {
    this.#more.push(...targets);
    this.#size += targets.length;
  }

  /** @returns why all of the table is outdated, when the mapping cannot say it of the row. */
  addChange(mapping: Mapping, change: RowChange<object>): Refusal | undefined {
    if (this.#whole.has(mapping)) return undefined;
    this.#touched.add(mapping);
    try {
      const found = [change.old, change.new].filter((row) => row !== undefined).map((row) => read(mapping, row));
      const targets = mapping.targets === undefined ? [] : (mapping.targets(change) as readonly ChangeTarget[]);
      // All is known before anything is entered: a mapping that throws half-way leaves nothing half done.
      for (const { scope, id, tags } of found) this.#enter(mapping, scope, id, tags);
      this.addTargets(targets);
      return undefined;
    } catch (error) {
      this.addWhole(mapping);
      return { mapping, error };
    }
  }

  /** Takes in all of another. */
  merge(other: Outdated): void {
    for (const mapping of other.#touched) this.#touched.add(mapping);
    for (const mapping of other.#whole) this.addWhole(mapping);
    this.addTargets(other.#more);
    for (const [key, group] of other.#groups) {
      const mine = this.#group(key, group.of, group.scope);
      for (const [name, id] of group.ids) this.#put(mine.ids, name, id);
      for (const [name, tag] of group.tags) this.#put(mine.tags, name, tag);
    }
  }

  targets(): ChangeTarget[] {
    const targets: ChangeTarget[] = [...this.#whole].flatMap(({ whole }) => whole);
    targets.push(...this.#more);
    if (targets.some(isEverything)) return [{ all: true }];
    const whole = new Set(targets.map(entityWhole));
    for (const { of, scope, ids, tags } of this.#groups.values()) {
      // All of an entity includes its things; its tags may be on others.
      if (of !== undefined && tags.size === 0 && whole.has(of.name)) continue;
      if (of !== undefined && ids.size > 0) targets.push({ of, scope, ids: [...ids.values()] });
      if (tags.size === 0) continue;
      targets.push(of === undefined ? { tags: [...tags.values()], scope } : { of, scope, tags: [...tags.values()] });
    }
    return targets;
  }

  #enter(mapping: Mapping, scope: ScopeInput | undefined, id: KeyInput | undefined, tags: readonly KeyInput[]): void {
    const group = this.#group(groupKey(mapping.entity, scope), mapping.entity, scope);
    if (id !== undefined) this.#put(group.ids, nameOf(id, group.ids.size), id);
    for (const tag of tags) this.#put(group.tags, nameOf(tag, group.tags.size), tag);
  }

  #group(key: string, of: FedEntity | undefined, scope: ScopeInput | undefined): Group {
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { of, scope, ids: new Map(), tags: new Map() };
      this.#groups.set(key, group);
    }
    return group;
  }

  #put(into: Map<string, KeyInput>, name: string, value: KeyInput): void {
    if (into.has(name) && isScalar(value)) return;
    into.set(into.has(name) ? `${name}#${this.#size}` : name, value);
    this.#size += 1;
  }
}

function isEverything(target: ChangeTarget): boolean {
  return "all" in target && !("of" in target);
}

function entityWhole(target: ChangeTarget): string | undefined {
  return "of" in target && "all" in target && target.scope === undefined ? target.of.name : undefined;
}

interface Found {
  readonly scope: ScopeInput | undefined;
  readonly id: KeyInput | undefined;
  readonly tags: readonly KeyInput[];
}

/** @throws whatever the mapping throws, and TypeError for what it must not return. */
function read(mapping: Mapping, row: object): Found {
  const tags = mapping.tags === undefined ? [] : (mapping.tags(row) as readonly KeyInput[]);
  if (!Array.isArray(tags)) throw new TypeError("Expected `tags` to return an array");
  const scope = mapping.scope?.(row) as ScopeInput | null | undefined;
  if (mapping.scope !== undefined && (scope === null || scope === undefined)) throw new UnknownScope();
  if (mapping.entity === undefined) return { scope: scope ?? undefined, id: undefined, tags };
  const id = mapping.id(row) as KeyInput | null | undefined;
  if (id === null || id === undefined) throw new TypeError("Expected `id` to return the row's id");
  return { scope: scope ?? undefined, id, tags };
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object";
}

/** Scalars that are the same have the same name; of what has parts nothing is left out, at the price of saying it twice. */
function nameOf(value: KeyInput, counter: number): string {
  return isScalar(value) ? scalarName(value) : `${counter}`;
}

function scalarName(value: unknown): string {
  return `${typeof value}:${String(value)}`;
}

function groupKey(entity: FedEntity | undefined, scope: ScopeInput | undefined): string {
  const parts: readonly unknown[] = Array.isArray(scope) ? scope : [scope];
  return JSON.stringify([entity?.name ?? null, Array.isArray(scope), ...parts.map(scalarName)]);
}

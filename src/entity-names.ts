import { CacheError } from "./errors.js";
import { DependencyTag, entityTexts, tagPaths, type TagInput } from "./dependency-tag.js";
import type { Shape } from "./entity-shape.js";
import type { Mark } from "./invalidation/record.js";
import { encodeTag, entityKeyEncoder, entityPrefix, entityTag, inNamespace, parentTag } from "./keys.js";
import type { KeyInput, ScopeInput } from "./keys.js";
import { display } from "./policy.js";

/**
 * What invalidating all of an entity names: its entries, and what hangs on any of them. Of one scope, or of every one.
 */
export function wholeEntityMarks(namespace: string, entity: string, scope: ScopeInput | undefined): readonly Mark[] {
  const hanging = inNamespace(namespace, encodeTag(entityTexts.all(scope, entity)));
  return [
    scope === undefined
      ? { kind: "tag", tag: inNamespace(namespace, entityTag(entity)) }
      : { kind: "prefix", prefix: inNamespace(namespace, entityPrefix(scope, entity)) },
    { kind: "tag", tag: hanging },
  ];
}

/** What the things of an entity are called in one scope: their keys, their tags, and what an invalidation of them names. */
export class EntityNames<Id extends KeyInput, T> {
  /** On every entry of the entity, in every scope. */
  readonly entity: string;
  readonly #shape: Shape<Id, T>;
  readonly #scope: ScopeInput | undefined;
  readonly #encode: (id: KeyInput) => string;
  /** Keys of the versions beside this one: while a deploy rolls, processes of both versions write. */
  readonly #neighbours: readonly ((id: KeyInput) => string)[];
  /** What hangs on whichever thing changes. */
  readonly #any: readonly Mark[];

  constructor(shape: Shape<Id, T>, scope: ScopeInput | undefined) {
    const { home, definition, version } = shape;
    const encoder = (of: number): ((id: KeyInput) => string) =>
      entityKeyEncoder(scope, definition.name, of, home.engine.maxKeyLength);
    this.#shape = shape;
    this.#scope = scope;
    this.#encode = encoder(version);
    this.#neighbours = [version - 1, version + 1].filter((other) => other > 0).map(encoder);
    this.entity = this.#here(entityTag(definition.name));
    this.#any = this.#hanging(() => entityTexts.any(scope, definition.name));
  }

  path(id: KeyInput): string {
    return this.#here(this.#encode(id));
  }

  tag(tag: TagInput): readonly string[] {
    const { engine, namespace } = this.#shape.home;
    return tagPaths(tag, engine, namespace, this.#scope);
  }

  /**
   * One thing, or whichever of them, as a tag.
   *
   * @throws CacheError `ERR_CACHE_ENTITY` where nothing may hang on the entity.
   */
  dependencyTag(...ids: readonly KeyInput[]): DependencyTag {
    const { definition, home } = this.#shape;
    const { name, dependents } = definition;
    if (dependents !== true) {
      throw new CacheError(
        "ERR_CACHE_ENTITY",
        `The entity ${display(name)} does not say \`dependents: true\`: what hangs on it would not be told of its changes`,
      );
    }
    // Counted: an id that came out undefined must not make the tag of all.
    const text = ids.length === 0 ? entityTexts.any(this.#scope, name) : this.#textOf(ids[0] as KeyInput);
    const scoped = this.#scope === undefined ? [] : [this.#textTag(entityTexts.all(this.#scope, name))];
    return new DependencyTag(home.engine, text, [this.#textTag(text), ...scoped, this.entity]);
  }

  /** Tags that come from the value: those declared, and one for each parent it belongs to. */
  tagsOf(id: Id): (value: unknown) => readonly string[] {
    const { definition, home } = this.#shape;
    return (value) => {
      // Nothing belongs to nobody: a value that is not there has no parents and no tags.
      if (value === undefined || value === null) return [];
      const own = (definition.tags?.(value as T, id) ?? []).flatMap((tag) => this.tag(tag));
      const parents = Object.entries(definition.belongsTo ?? {}).flatMap(([parent, idOf]) => {
        const parentId = idOf(value as T);
        if (parentId === undefined || parentId === null) return [];
        const scope = home.registry.get(parent)?.scoped === false ? undefined : this.#scope;
        return [this.#here(parentTag(scope, parent, parentId))];
      });
      return [...own, ...parents];
    };
  }

  /** What invalidating these names: them, what belongs to them, and what hangs on them. */
  marksOf(ids: readonly Id[]): Mark[] {
    if (ids.length === 0) return [];
    return [
      ...ids.flatMap((id) => [
        { kind: "key", key: this.path(id) } as const,
        ...this.#neighbourMarks(id),
        ...this.#childrenMarks(id),
        ...this.#hanging(() => this.#textOf(id)),
      ]),
      ...this.#any,
    ];
  }

  tagMarks(tags: readonly TagInput[]): Mark[] {
    const paths = tags.map((tag) => this.tag(tag)[0] as string);
    return [...paths.map((tag): Mark => ({ kind: "tag", tag })), ...this.#any];
  }

  allMarks(): readonly Mark[] {
    return wholeEntityMarks(this.#shape.home.namespace, this.#shape.definition.name, this.#scope);
  }

  /** What a write of the thing outdates besides its own entry. */
  marksBeside(id: Id): Mark[] {
    return [...this.#neighbourMarks(id), ...this.#hanging(() => this.#textOf(id)), ...this.#any];
  }

  #neighbourMarks(id: Id): Mark[] {
    return this.#neighbours.map((encode): Mark => ({ kind: "key", key: this.#here(encode(id)) }));
  }

  #childrenMarks(id: Id): Mark[] {
    const { home, definition } = this.#shape;
    if (home.registry.get(definition.name)?.parent !== true) return [];
    return [{ kind: "tag", tag: this.#here(parentTag(this.#scope, definition.name, id)) }];
  }

  /** Each name would be remembered by every process, so only where something may hang on it. */
  #hanging(text: () => string): Mark[] {
    return this.#shape.definition.dependents === true ? [{ kind: "tag", tag: this.#textTag(text()) }] : [];
  }

  #textOf(id: KeyInput): string {
    const path = this.#encode(id);
    return entityTexts.of(path.slice(0, path.lastIndexOf(":")));
  }

  /** As a text that is given for a tag, in no scope. */
  #textTag(text: string): string {
    return this.#here(encodeTag(text));
  }

  #here(path: string): string {
    return inNamespace(this.#shape.home.namespace, path);
  }
}

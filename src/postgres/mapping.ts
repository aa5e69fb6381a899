import type { ChangeTarget, FedEntity } from "../feed/change-feed.js";
import type { KeyInput, ScopeInput } from "../keys.js";
import { knownOptions, optionError } from "../policy.js";
import { tableKey, tableName, type TableName } from "./pg.js";

/**
 * What happened to a row. Of an old row only its replica identity is known (by default the primary key) and the columns
 * named `fixed`: reading another of its columns throws, and the table's `whole` is invalidated instead.
 */
export interface RowChange<Row extends object> {
  readonly kind: "insert" | "update" | "delete";
  readonly old: Row | undefined;
  readonly new: Row | undefined;
}

/** What the rows of a table are to a cache. Functions are called with the old row, the new one, or each in turn. */
export interface TableMapping<Row extends object> {
  /** What a row is one of. Needs `id`. */
  entity?: FedEntity | undefined;
  id?: ((row: Row) => KeyInput | null | undefined) | undefined;
  /** The scope of a scoped entity, or of `tags`. Null or undefined is every scope. */
  scope?: ((row: Row) => ScopeInput | null | undefined) | undefined;
  /** Tags of lists and sums that the row is, or was, part of. */
  tags?: ((row: Row) => readonly KeyInput[]) | undefined;
  /** Anything else a change makes outdated. */
  targets?: ((change: RowChange<Row>) => readonly ChangeTarget[]) | undefined;
  /**
   * What is invalidated when it is not known which rows changed (TRUNCATE, a huge transaction, a function that throws).
   * @default all of the entity; with `tags` or `targets`, everything
   */
  whole?: readonly ChangeTarget[] | undefined;
  /** Columns that never change while a row lives: an UPDATE's old row has them from its new one. */
  fixed?: readonly (keyof Row & string)[] | undefined;
  /**
   * What the functions read besides the replica identity, which is always published: nothing else leaves the database. `[]` is the
   * identity alone. Reading another column throws, as one of an old row does that is not known. @default all columns
   */
  columns?: readonly (keyof Row & string)[] | undefined;
}

const FIELDS: readonly (keyof TableMapping<object>)[] = [
  "entity",
  "id",
  "scope",
  "tags",
  "targets",
  "whole",
  "fixed",
  "columns",
];

/** One mapping of a table. The row's type is erased: `table()` has checked it. */
export interface Mapping {
  readonly name: TableName;
  readonly entity: FedEntity | undefined;
  readonly id: (row: object) => unknown;
  readonly scope: ((row: object) => unknown) | undefined;
  readonly tags: ((row: object) => unknown) | undefined;
  readonly targets: ((change: RowChange<object>) => unknown) | undefined;
  readonly whole: readonly ChangeTarget[];
  readonly fixed: ReadonlySet<string>;
  readonly columns: readonly string[] | undefined;
}

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function resolveMapping<Row extends object>(table: string, mapping: TableMapping<Row>): Mapping {
  if (typeof table !== "string" || !/^[^.]+(?:\.[^.]+)?$/.test(table))
    throw optionError("table", 'a table\'s name, such as "contacts" or "crm.contacts"', table);
  knownOptions(mapping, FIELDS, "table");
  const { entity, id, scope, tags, targets, fixed, columns } = mapping;
  if (entity !== undefined && (typeof entity !== "object" || entity === null || typeof entity.name !== "string"))
    throw optionError("entity", "what `cache.entity` returned", entity);
  for (const field of ["id", "scope", "tags", "targets"] as const) {
    const given: unknown = mapping[field];
    if (given !== undefined && typeof given !== "function") throw optionError(field, "a function of the row", given);
  }
  if (entity !== undefined && id === undefined) throw optionError("id", "given with `entity`", id);
  if (entity === undefined && tags === undefined && targets === undefined)
    throw optionError("entity", "given, or `tags`, or `targets`", entity);
  for (const field of ["whole", "fixed", "columns"] as const) {
    const given: unknown = mapping[field];
    if (given !== undefined && !Array.isArray(given)) throw optionError(field, "an array", given);
  }
  if (columns?.some((column: unknown) => typeof column !== "string" || column === "") === true)
    throw optionError("columns", "names of columns", columns);
  // A function of one row type is never called with another's: rows of a table go to the mappings of that table.
  type Erased = (row: object) => unknown;
  return {
    name: tableName(table),
    entity,
    id: (id ?? (() => undefined)) as Erased,
    scope: scope as Erased | undefined,
    tags: tags as Erased | undefined,
    targets: targets as ((change: RowChange<object>) => unknown) | undefined,
    whole: mapping.whole ?? defaultWhole(entity, tags !== undefined || targets !== undefined),
    fixed: new Set(fixed),
    columns,
  };
}

/** Tags may be on anything: which of them a table could ever name is not known. */
function defaultWhole(entity: FedEntity | undefined, more: boolean): readonly ChangeTarget[] {
  return entity === undefined || more ? [{ all: true }] : [{ of: entity, all: true }];
}

/** A table, and the columns of it that must be published besides its replica identity; `undefined` is all. */
export interface WantedTable extends TableName {
  readonly columns: readonly string[] | undefined;
}

/** The mappings of a feed, by table. */
export class Mappings {
  readonly #byTable = new Map<string, Mapping[]>();
  /** Grows with every table: whoever has looked at an earlier number looks again. */
  version = 0;

  add(mapping: Mapping): void {
    const key = tableKey(mapping.name);
    const known = this.#byTable.get(key);
    if (known === undefined) this.#byTable.set(key, [mapping]);
    else known.push(mapping);
    this.version += 1;
  }

  of(table: TableName): readonly Mapping[] {
    return this.#byTable.get(tableKey(table)) ?? [];
  }

  get all(): readonly Mapping[] {
    return [...this.#byTable.values()].flat();
  }

  get tables(): readonly WantedTable[] {
    return [...this.#byTable.values()].flatMap((mappings) =>
      mappings.slice(0, 1).map(({ name }) => ({ ...name, columns: columnsOf(mappings) })),
    );
  }
}

/** What some mapping of a table needs. */
function columnsOf(mappings: readonly Mapping[]): readonly string[] | undefined {
  const columns = new Set<string>();
  for (const mapping of mappings) {
    if (mapping.columns === undefined) return undefined;
    for (const column of mapping.columns) columns.add(column);
  }
  return [...columns];
}

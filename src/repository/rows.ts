import type { InvalidationTarget } from "../api.js";
import type { TagInput } from "../dependency-tag.js";
import { Key, type KeyInput, type ScopeInput, type Segment } from "../keys.js";
import type { RowVersion, RowVersionOption } from "../row-versions.js";

/*
 * What ties an entry to rows, in tags of its scope:
 *
 *   issue:row:7    holds row 7, or belongs to it
 *   issue:rows     belongs to a row of it, whichever
 *   issue:lists    may change with any row: a list, a count, an absence, what holds too many rows or one without id
 *
 * Every write drops `lists`, a write of row 7 drops `row:7` too, a write of everything drops the entity and `rows`.
 * So an entry with `lists` needs no other tag to be dropped by this repository; it carries those of its rows all the
 * same, for whoever invalidates one of them by hand.
 */

/** Above it, an entry carries `lists` in place of one tag per row: tags are stored and compared with every read. */
const MOST_ROW_TAGS = 128;

/** Above it, a write drops everything: each name in an invalidation is work that the shared tier does in one step. */
const MOST_WRITTEN_ROWS = 1_000;

/** What a repository knows of its rows, on values whose type the declaration has checked. */
export interface RowTraits {
  readonly name: string;
  readonly id: (row: unknown) => KeyInput | null | undefined;
  readonly tags: (row: unknown) => readonly TagInput[];
  readonly parents: readonly { readonly name: string; readonly id: (row: unknown) => KeyInput | null | undefined }[];
}

/** `value` itself if it is a row, its elements if it is an array. */
export function rowsIn(value: unknown): readonly unknown[] {
  return (Array.isArray(value) ? (value as readonly unknown[]) : [value]).filter(
    (row) => typeof row === "object" && row !== null,
  );
}

/** The version of a result that is one row; no other has one. */
export function versionOfRow(
  traits: RowTraits,
  option: RowVersionOption<unknown> | undefined,
): RowVersionOption<unknown> | undefined {
  if (option === undefined) return undefined;
  // What is no rule is handed on to whoever refuses it.
  if (typeof option !== "function" && typeof option?.of !== "function") return option;
  const of = typeof option === "function" ? option : option.of.bind(option);
  const ofRow = (value: unknown): RowVersion | null | undefined =>
    typeof value === "object" && !Array.isArray(value) && idsOf(traits, rowsIn(value)).length > 0
      ? of(value)
      : undefined;
  return typeof option === "function" ? ofRow : { ...option, of: ofRow };
}

/** Ids of those rows that have one. */
export function idsOf(traits: RowTraits, rows: readonly unknown[]): readonly KeyInput[] {
  return rows.map((row) => traits.id(row)).filter((id) => id !== undefined && id !== null);
}

/**
 * The tags of an entry that holds `rows`.
 *
 * @param listed whether it may change with any row.
 */
export function tagsOfRows(traits: RowTraits, rows: readonly unknown[], listed: boolean): readonly TagInput[] {
  const ids = idsOf(traits, rows);
  const loose = listed || ids.length < rows.length;
  return [
    ...(loose ? [listsTag(traits.name)] : []),
    ...tagsOfIds(traits.name, ids),
    ...traits.parents.flatMap((parent) => tagsOfParents(parent, rows)),
    ...rows.flatMap((row) => traits.tags(row)),
  ];
}

/** What a write of these rows drops. */
export function targetsOfRows(
  name: string,
  ids: readonly KeyInput[],
  scope: ScopeInput | undefined,
): readonly InvalidationTarget[] {
  if (ids.length > MOST_WRITTEN_ROWS) return targetsOfAll(name, scope);
  return [{ tags: [listsTag(name), ...ids.map((id) => rowTag(name, id))], scope }];
}

/** What a write of any number of rows drops. */
export function targetsOfAll(name: string, scope: ScopeInput | undefined): readonly InvalidationTarget[] {
  return [
    { entity: name, scope },
    { tags: [listsTag(name), rowsTag(name)], scope },
  ];
}

/**
 * An id as the rest of a tag. Numbers count as their text: a driver that gives bigints as strings, or a router that
 * gives ids as text, must not keep a write from finding its row. Over-matching costs a load.
 */
export function idSegments(id: KeyInput): readonly Segment[] {
  if (id instanceof Key) return [id.path];
  return (Array.isArray(id) ? (id as readonly Segment[]) : [id as Segment]).map((part) =>
    typeof part === "number" || typeof part === "bigint" ? String(part) : part,
  );
}

function tagsOfIds(name: string, ids: readonly KeyInput[]): readonly KeyInput[] {
  return ids.length > MOST_ROW_TAGS ? [listsTag(name)] : ids.map((id) => rowTag(name, id));
}

function tagsOfParents(parent: RowTraits["parents"][number], rows: readonly unknown[]): readonly KeyInput[] {
  const ids = rows.map((row) => parent.id(row)).filter((id) => id !== undefined && id !== null);
  if (ids.length === 0) return [];
  // Many rows have few parents, so they are told apart before they are counted.
  const distinct = [...new Map(ids.map((id) => [JSON.stringify(idSegments(id)), id])).values()];
  return [rowsTag(parent.name), ...tagsOfIds(parent.name, distinct)];
}

function rowTag(name: string, id: KeyInput): KeyInput {
  return [name, "row", ...idSegments(id)];
}

function rowsTag(name: string): KeyInput {
  return [name, "rows"];
}

function listsTag(name: string): KeyInput {
  return [name, "lists"];
}

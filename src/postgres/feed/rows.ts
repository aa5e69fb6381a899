import type { RowChange } from "../mapping.js";
import { ABSENT, UNCHANGED, type Cell, type Relation, type RowMessage } from "./pgoutput.js";

/** Thrown into a mapping that reads what the log does not have. */
export class UnknownColumn extends Error {
  override readonly name = "UnknownColumn";
  readonly column: string;

  constructor(column: string) {
    super(
      `The log does not have the column \`${column}\` of this row: an old row has its identity alone, any row the \`columns\` published`,
    );
    this.column = column;
  }
}

/** Makes a value of a column's text: what `pg` would have given for the type. */
export type ParseCell = (type: number, text: string) => unknown;

/**
 * A change as its mapping sees it. Rows are read only, and a column that is not in the log throws: `undefined` in its place would
 * make a tag or a scope that no entry has.
 */
export function changeOf(
  relation: Relation,
  message: RowMessage,
  fixed: ReadonlySet<string>,
  parse: ParseCell,
): RowChange<object> {
  const cells = { old: message.old?.(), new: message.new?.() };
  const before = cells.old;
  // What an UPDATE did not touch and the log leaves out is as it was.
  const after = cells.new?.map((cell, at) =>
    cell === UNCHANGED && before !== undefined ? (before[at] ?? cell) : cell,
  );
  const old = before === undefined && message.kind === "update" ? after && identityOf(relation, after) : before;
  const filled = message.kind === "update" && after !== undefined ? withFixed(relation, old, after, fixed) : old;
  return {
    kind: message.kind,
    old: filled && rowOf(relation, filled, parse),
    new: after && rowOf(relation, after, parse),
  };
}

/** Without an old row in the log the identity is what it was. */
function identityOf({ columns }: Relation, cells: readonly Cell[]): readonly Cell[] {
  return columns.map(({ key }, at) => (key ? (cells[at] ?? null) : ABSENT));
}

function withFixed(
  { columns }: Relation,
  old: readonly Cell[] | undefined,
  after: readonly Cell[],
  fixed: ReadonlySet<string>,
): readonly Cell[] | undefined {
  if (fixed.size === 0) return old;
  return old?.map((cell, at) => (cell === ABSENT && fixed.has(columns[at]?.name ?? "") ? (after[at] ?? null) : cell));
}

function rowOf({ columns }: Relation, cells: readonly Cell[], parse: ParseCell): object {
  const at = new Map(columns.map(({ name }, index) => [name, index]));
  return lazyRow((column) => {
    const index = at.get(column);
    const cell = index === undefined ? ABSENT : cells[index];
    if (index === undefined || cell === ABSENT || cell === UNCHANGED || cell === undefined)
      throw new UnknownColumn(column);
    return cell === null ? null : parse(columns[index]?.type ?? 0, cell);
  });
}

/** A row whose columns are made when they are read. */
export function lazyRow(read: (column: string) => unknown): object {
  return new Proxy(Object.freeze({}), {
    get: (_target, column) => (typeof column === "string" ? read(column) : undefined),
    has: () => true,
    // A copy would have nothing of the row, and say nothing of it.
    ownKeys: () => {
      throw new TypeError("Expected a changed row's columns to be read by name: it cannot be copied or listed");
    },
  });
}

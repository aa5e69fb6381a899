/** A cell: its text, and how it is coloured, which does not count for its width. */
export interface TableCell {
  readonly text: string;
  readonly paint?: ((text: string) => string) | undefined;
}

const GAP = "  ";

/** Rows in columns: the first column to the left, the others to the right. */
export function textTable(rows: readonly (readonly (TableCell | string)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === "string" ? { text: cell } : cell)));
  const widths: number[] = [];
  for (const row of cells) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.text.length)));
  const lines = cells.map((row) =>
    row.map((cell, at) => padded(cell, widths[at] as number, at === 0, at === row.length - 1)).join(GAP),
  );
  return `${lines.join("\n")}\n`;
}

function padded(
  { text, paint = (plain) => plain }: TableCell,
  width: number,
  isFirst: boolean,
  isLast: boolean,
): string {
  const space = " ".repeat(width - text.length);
  if (!isFirst) return space + paint(text);
  return isLast ? paint(text) : paint(text) + space;
}

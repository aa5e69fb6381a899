/* Numbers as they are printed. */

const GROUPED = new Intl.NumberFormat("en-US");
const BYTES = ["B", "KB", "MB", "GB", "TB"];

/** `12,345` */
export function integer(value: number): string {
  return GROUPED.format(Math.round(value));
}

/** `12.34%` */
export function percent(ratio: number, digits = 2): string {
  return `${(100 * ratio).toFixed(digits)}%`;
}

/** `1.5 MB` (1 MB is 1024 KB). */
export function bytes(value: number): string {
  let amount = value;
  let unit = 0;
  for (; amount >= 1024 && unit < BYTES.length - 1; unit += 1) amount /= 1024;
  return `${significant(amount)} ${BYTES[unit]}`;
}

/** `0.8 ms` */
export function milliseconds(value: number): string {
  return `${significant(value)} ms`;
}

/** To three digits that matter, or to the integer. */
export function significant(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) >= 100 ? integer(value) : String(Number(value.toPrecision(3)));
}

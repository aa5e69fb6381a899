/** Text of somebody else's on one line of a terminal: what could move its cursor, or say something to it, is taken out. */
export function plainText(text: string): string {
  // C0 and C1 controls (ECMA-48).
  return text.replaceAll(/[\u0000-\u001F\u007F-\u009F]+/g, " ");
}

/** Shortened to a width, its end cut off. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** Members of a comma-separated list (RFC 9110 §5.6.1). */
export interface ListMembers {
  /** Trimmed, without empty ones; quoted strings as they stand. */
  readonly members: readonly string[];
  /** A quoted string had no end. What follows it was split as if it were not quoted, so that nothing can hide in it. */
  readonly unterminated: boolean;
}

/** Splits at commas outside of quoted strings. */
export function splitList(text: string): ListMembers {
  const members: string[] = [];
  let start = 0;
  let at = 0;
  let unterminated = false;
  while (at < text.length) {
    const character = text[at];
    if (character === '"' && !unterminated) {
      const end = endOfQuoted(text, at);
      if (end === -1) unterminated = true;
      at = end === -1 ? at + 1 : end;
      continue;
    }
    if (character === ",") {
      push(members, text.slice(start, at));
      start = at + 1;
    }
    at += 1;
  }
  push(members, text.slice(start));
  return { members, unterminated };
}

/** The content of a quoted string; `undefined` for what is not exactly one. */
export function unquote(text: string): string | undefined {
  if (!text.startsWith('"') || endOfQuoted(text, 0) !== text.length) return undefined;
  return text.slice(1, -1).replace(/\\(.)/gs, "$1");
}

/** Where a quoted string that begins at `from` ends, past its quote; -1 when it does not. */
export function endOfQuoted(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return -1;
}

function push(members: string[], raw: string): void {
  const member = trimBlanks(raw);
  if (member !== "") members.push(member);
}

/** Without the blanks and tabs around it (OWS, RFC 9110 §5.6.3): other white space is data, and malformed. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

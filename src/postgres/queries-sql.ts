/** A piece of SQL: `word` is an unquoted identifier or keyword, lower-cased; `name` a quoted identifier; `text` any literal. */
export interface Token {
  readonly kind: "word" | "name" | "text" | "symbol";
  readonly text: string;
}

const SPACE = /(?:\s|--[^\n]*)+/y;
const ESCAPED_TEXT = /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/y;
const PLAIN_TEXT = /[bBxXnN]?'((?:[^']|'')*)'/y;
const UNICODE_ESCAPES = /[uU]&['"]/y;
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const QUOTED_NAME = /"((?:[^"]|"")+)"/y;
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const NUMBER = /\$?\d[A-Za-z0-9_.]*/y;
const COMMENT_EDGE = /\/\*|\*\//g;

/**
 * SQL as PostgreSQL's lexer splits it (PostgreSQL documentation, section 4.1), as far as telling statements apart needs.
 *
 * @returns `undefined` for what cannot be told for sure: something that does not end, identifiers with Unicode escapes, and
 * a plain literal with a backslash before its end, which `standard_conforming_strings = off` reads otherwise.
 */
export function tokensOf(sql: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    const next = tokenAt(sql, at);
    if (next === undefined) return undefined;
    if (next.token !== undefined) tokens.push(next.token);
    at = next.end;
  }
  return tokens;
}

interface Step {
  readonly token: Token | undefined;
  readonly end: number;
}

function tokenAt(sql: string, at: number): Step | undefined {
  const space = match(SPACE, sql, at);
  if (space !== undefined) return { token: undefined, end: at + space[0].length };
  const two = sql.slice(at, at + 2);
  if (two === "/*") return skipComment(sql, at);
  if (match(UNICODE_ESCAPES, sql, at) !== undefined) return undefined;
  const escaped = match(ESCAPED_TEXT, sql, at);
  if (escaped !== undefined) return step("text", "", at, escaped[0]);
  const plain = match(PLAIN_TEXT, sql, at);
  if (plain !== undefined) {
    // Doubled quotes stay inside; a backslash before one of them, or at the end, is where the two readings part.
    return /\\(?:'|$)/.test(plain[1] ?? "") ? undefined : step("text", plain[1] ?? "", at, plain[0]);
  }
  const quote = match(DOLLAR_QUOTE, sql, at);
  if (quote !== undefined) {
    const end = sql.indexOf(quote[0], at + quote[0].length);
    return end === -1 ? undefined : { token: { kind: "text", text: "" }, end: end + quote[0].length };
  }
  const name = match(QUOTED_NAME, sql, at);
  if (name !== undefined) return step("name", (name[1] ?? "").replaceAll('""', '"'), at, name[0]);
  const word = match(WORD, sql, at);
  if (word !== undefined) return step("word", folded(word[0]), at, word[0]);
  const number = match(NUMBER, sql, at);
  if (number !== undefined) return step("text", number[0], at, number[0]);
  const symbol = sql.charAt(at);
  // What only begins a literal does not end.
  return symbol === "'" || symbol === '"' ? undefined : step("symbol", symbol, at, symbol);
}

function step(kind: Token["kind"], text: string, at: number, raw: string): Step {
  return { token: { kind, text }, end: at + raw.length };
}

function match(pattern: RegExp, sql: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(sql) ?? undefined;
}

/** Comments nest. */
function skipComment(sql: string, at: number): Step | undefined {
  let depth = 0;
  COMMENT_EDGE.lastIndex = at;
  for (let edge = COMMENT_EDGE.exec(sql); edge !== null; edge = COMMENT_EDGE.exec(sql)) {
    depth += edge[0] === "/*" ? 1 : -1;
    if (depth === 0) return { token: undefined, end: COMMENT_EDGE.lastIndex };
  }
  return undefined;
}

/** PostgreSQL folds ASCII letters only. */
function folded(word: string): string {
  return word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

import { tokensOf, type Token } from "./queries-sql.js";

/** A statement, as far as the cache must understand it. Tables are names without their schema. */
export type Statement =
  /** Answers a question and changes nothing, unless a function in it does. `locks`: `FOR UPDATE` and the like. */
  | { readonly kind: "read"; readonly tables: readonly string[]; readonly locks: boolean }
  | { readonly kind: "write"; readonly tables: readonly string[] }
  | { readonly kind: "begin" }
  /** `chain`: another transaction begins at once. */
  | { readonly kind: "commit" | "rollback"; readonly chain: boolean }
  | { readonly kind: "savepoint" | "release" | "rollback-to"; readonly name: string }
  /** What it sets outlives the statement; `name` is undefined when it cannot be told what. */
  | { readonly kind: "set"; readonly name: string | undefined; readonly value: string | undefined }
  | { readonly kind: "reset"; readonly all: "settings" | "session" }
  /** Nothing the cache has to know. */
  | { readonly kind: "other" }
  /** May have changed anything: nothing is invalidated for it. */
  | { readonly kind: "unsure"; readonly why: string };

const OTHER: Statement = { kind: "other" };
const UNKNOWN_SETTING: Statement = { kind: "set", name: undefined, value: undefined };

const HARMLESS: ReadonlySet<string> = new Set(
  "show listen unlisten notify fetch move close declare lock checkpoint vacuum analyze deallocate comment grant revoke security reindex cluster load".split(
    " ",
  ),
);

/** The statements of a text, in order. */
export function statementsOf(sql: string): readonly Statement[] {
  const tokens = tokensOf(sql);
  if (tokens === undefined) return [{ kind: "unsure", why: "its text cannot be read for sure" }];
  // A function's body may hold statements, END among them.
  if (tokens.some((token, at) => isWord(token, "atomic") && isWord(tokens[at - 1], "begin"))) {
    return [{ kind: "unsure", why: "CREATE changes the schema" }];
  }
  const statements: Statement[] = [];
  let from = 0;
  for (let at = 0; at <= tokens.length; at++) {
    if (at < tokens.length && !isSymbol(tokens[at], ";")) continue;
    if (at > from) statements.push(...read(tokens.slice(from, at)));
    from = at + 1;
  }
  return statements;
}

function read(tokens: readonly Token[]): readonly Statement[] {
  const first = tokens.find((token) => !isSymbol(token, "("));
  const word = first?.kind === "word" ? first.text : "";
  switch (word) {
    case "select":
    case "values":
    case "table":
    case "with":
    case "explain":
      return query(tokens, word);
    case "insert":
    case "update":
    case "delete":
    case "merge":
      return [write(writtenTables(tokens)), ...settingCalls(tokens)];
    case "truncate":
      return truncate(tokens);
    case "copy":
      return [copy(tokens)];
    case "begin":
    case "commit":
    case "end":
    case "rollback":
    case "abort":
    case "start":
    case "savepoint":
    case "release":
    case "prepare":
      return [control(tokens, word)];
    case "set":
    case "reset":
    case "discard":
      return [setting(tokens, word)];
    default:
      return HARMLESS.has(word) ? [OTHER] : unsure(tokens, word);
  }
}

function unsure(tokens: readonly Token[], word: string): readonly Statement[] {
  const statement: Statement = { kind: "unsure", why: `${word.toUpperCase() || "it"} may change anything` };
  // A temporary table hides another of its name, on its connection.
  return has(tokens, "temp") || has(tokens, "temporary") ? [statement, UNKNOWN_SETTING] : [statement];
}

function query(tokens: readonly Token[], word: string): readonly Statement[] {
  const calls = settingCalls(tokens);
  // Without WITH there is no place for a write, and `delete` would be a column.
  if (word === "explain" ? has(tokens, "analyze") : has(tokens, "with")) {
    const tables = writtenTables(tokens);
    if (tables === undefined || tables.length > 0) return [write(tables), ...calls];
  }
  if (word === "explain") return [OTHER, ...calls];
  if (has(tokens, "into")) return [{ kind: "unsure", why: "SELECT INTO makes a table" }];
  const locks = tokens.some(
    (token, at) => isWord(token, "for") && isWord(tokens[at + 1], "update", "share", "no", "key"),
  );
  return [{ kind: "read", tables: readTables(tokens), locks }, ...calls];
}

function write(tables: readonly string[] | undefined): Statement {
  return tables === undefined ? { kind: "unsure", why: "its table cannot be told" } : { kind: "write", tables };
}

/** Every table a data-modifying statement or CTE names as its target; `undefined` when one cannot be told. */
function writtenTables(tokens: readonly Token[]): readonly string[] | undefined {
  const tables = new Set<string>();
  for (const [at, token] of tokens.entries()) {
    const target = targetOf(tokens, at, token);
    if (target === undefined) continue;
    const name = nameAt(tokens, target);
    if (name === undefined) return undefined;
    tables.add(name.last);
  }
  return [...tables];
}

/** Where the target of a write that begins here stands; `undefined` when none begins. */
function targetOf(tokens: readonly Token[], at: number, token: Token): number | undefined {
  if (token.kind !== "word" || isSymbol(tokens[at - 1], ".")) return undefined;
  const next = tokens[at + 1];
  const only = (index: number): number => (isWord(tokens[index], "only") ? index + 1 : index);
  switch (token.text) {
    case "insert":
    case "merge":
      return isWord(next, "into") ? only(at + 2) : undefined;
    case "delete":
      return isWord(next, "from") ? only(at + 2) : undefined;
    case "update":
      // FOR UPDATE, FOR NO KEY UPDATE, ON CONFLICT DO UPDATE SET, and MERGE's THEN UPDATE SET name no table.
      if (isWord(tokens[at - 1], "for", "key") || isWord(next, "set", "of", "nowait", "skip")) return undefined;
      // What goes on like an expression is a column of that name.
      if (at > 0 && next?.kind !== "word" && next?.kind !== "name") return undefined;
      return only(at + 1);
    default:
      return undefined;
  }
}

function truncate(tokens: readonly Token[]): readonly Statement[] {
  const tables: string[] = [];
  let at = isWord(tokens[1], "table") ? 2 : 1;
  for (;;) {
    if (isWord(tokens[at], "only")) at += 1;
    const name = nameAt(tokens, at);
    if (name === undefined) return [write(undefined)];
    tables.push(name.last);
    at = isSymbol(tokens[name.end], "*") ? name.end + 1 : name.end;
    if (!isSymbol(tokens[at], ",")) break;
    at += 1;
  }
  const cascades: readonly Statement[] = has(tokens, "cascade")
    ? [{ kind: "unsure", why: "TRUNCATE … CASCADE empties other tables too" }]
    : [];
  return [write(tables), ...cascades];
}

function copy(tokens: readonly Token[]): Statement {
  if (!has(tokens, "from") || isSymbol(tokens[1], "(")) return OTHER;
  const name = nameAt(tokens, 1);
  return write(name === undefined ? undefined : [name.last]);
}

function control(tokens: readonly Token[], word: string): Statement {
  const chain = tokens.some((token, at) => isWord(token, "chain") && isWord(tokens[at - 1], "and"));
  if (isWord(tokens[1], "prepared")) return { kind: "unsure", why: "two-phase commits are not followed" };
  switch (word) {
    case "begin":
    case "start":
      return { kind: "begin" };
    case "commit":
    case "end":
      return { kind: "commit", chain };
    case "savepoint":
      return named("savepoint", tokens[1]);
    case "release":
      return named("release", tokens[isWord(tokens[1], "savepoint") && tokens.length > 2 ? 2 : 1]);
    case "prepare":
      return isWord(tokens[1], "transaction") ? { kind: "unsure", why: "two-phase commits are not followed" } : OTHER;
    default: {
      const to = tokens.findIndex((token) => isWord(token, "to"));
      if (to === -1) return { kind: "rollback", chain };
      return named(
        "rollback-to",
        tokens[isWord(tokens[to + 1], "savepoint") && tokens.length > to + 2 ? to + 2 : to + 1],
      );
    }
  }
}

function named(kind: "savepoint" | "release" | "rollback-to", token: Token | undefined): Statement {
  if (token?.kind !== "word" && token?.kind !== "name") return { kind: "unsure", why: "its savepoint cannot be told" };
  return { kind, name: token.text };
}

function setting(tokens: readonly Token[], word: string): Statement {
  if (word === "discard") return isWord(tokens[1], "all") ? { kind: "reset", all: "session" } : OTHER;
  if (word === "reset") {
    if (isWord(tokens[1], "all")) return { kind: "reset", all: "settings" };
    return { kind: "set", name: settingName(tokens.slice(1)), value: undefined };
  }
  const session = isWord(tokens[1], "session") && !isWord(tokens[2], "authorization", "characteristics");
  const rest = tokens.slice(session ? 2 : 1);
  if (isWord(rest[0], "local", "transaction", "constraints")) return OTHER;
  if (isWord(rest[0], "session") && isWord(rest[1], "characteristics")) return OTHER;
  const name = settingName(rest);
  const value = rest.map((token) => `${token.kind}:${token.text}`).join(" ");
  // Dollar quotes and escaped literals are not told by their token.
  const isTold = rest.every((token) => token.kind !== "text" || token.text !== "") && !has(rest, "current");
  return { kind: "set", name: isTold ? name : undefined, value };
}

function settingName(tokens: readonly Token[]): string | undefined {
  if (isWord(tokens[0], "session")) return "session authorization";
  if (isWord(tokens[0], "time")) return "timezone";
  if (isWord(tokens[0], "schema")) return "search_path";
  const names: string[] = [];
  for (const token of tokens) {
    if (token.kind === "word" || token.kind === "name") names.push(token.text);
    else if (!isSymbol(token, ".")) break;
    if (isWord(token, "to", "role", "names")) break;
  }
  if (names.at(-1) === "to") names.pop();
  return names.length === 0 ? undefined : names.join(".").toLowerCase();
}

/** `set_config(…, false)` changes the session; `set_config(…, true)` lasts as long as the transaction. */
function settingCalls(tokens: readonly Token[]): readonly Statement[] {
  const isSession = tokens.some((token, at) => isWord(token, "set_config") && !isLocalCall(tokens, at + 1));
  return isSession ? [UNKNOWN_SETTING] : [];
}

function isLocalCall(tokens: readonly Token[], open: number): boolean {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (isSymbol(tokens[at], "(")) depth += 1;
    if (isSymbol(tokens[at], ")")) depth -= 1;
    if (depth === 0) return isWord(tokens[at - 1], "true");
  }
  return false;
}

const ENDS_FROM: ReadonlySet<string> = new Set(
  "where group order having limit offset union intersect except window fetch for select values returning set with".split(
    " ",
  ),
);
const BEGINS_TABLE: ReadonlySet<string> = new Set(["from", "join", "table", "using"]);
const BEFORE_TABLE: ReadonlySet<string> = new Set(["only", "lateral"]);

/**
 * Every name that stands where a table may stand, and some that only look like one (CTEs, `extract(year from x)`): a tag too
 * many costs nothing, one too few an invalidation. What views and functions read is not in the text.
 */
function readTables(tokens: readonly Token[]): readonly string[] {
  const tables = new Set<string>();
  const levels = [{ inFrom: false, isExpected: false }];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as Token;
    const level = levels.at(-1) as { inFrom: boolean; isExpected: boolean };
    if (isSymbol(token, "(")) {
      levels.push({ inFrom: level.isExpected, isExpected: level.isExpected });
      level.isExpected = false;
    } else if (isSymbol(token, ")")) {
      if (levels.length > 1) levels.pop();
    } else if (isSymbol(token, ",")) {
      level.isExpected = level.inFrom;
    } else if (token.kind === "word" && BEGINS_TABLE.has(token.text)) {
      Object.assign(level, { inFrom: true, isExpected: true });
    } else if (token.kind === "word" && ENDS_FROM.has(token.text)) {
      Object.assign(level, { inFrom: false, isExpected: false });
    } else if (level.isExpected && !(token.kind === "word" && BEFORE_TABLE.has(token.text))) {
      const name = nameAt(tokens, at);
      level.isExpected = false;
      if (name === undefined) continue;
      if (!isSymbol(tokens[name.end], "(")) tables.add(name.last);
      at = name.end - 1;
    }
  }
  return [...tables];
}

/** `schema.table` that begins here: its last part, and where what follows it begins. */
function nameAt(tokens: readonly Token[], from: number): { readonly last: string; readonly end: number } | undefined {
  let at = from;
  for (;;) {
    const token = tokens[at];
    if (token?.kind !== "word" && token?.kind !== "name") return undefined;
    if (!isSymbol(tokens[at + 1], ".")) return { last: token.text, end: at + 1 };
    at += 2;
  }
}

function has(tokens: readonly Token[], word: string): boolean {
  return tokens.some((token) => isWord(token, word));
}

function isWord(token: Token | undefined, ...words: readonly string[]): boolean {
  return token?.kind === "word" && words.includes(token.text);
}

function isSymbol(token: Token | undefined, symbol: string): boolean {
  return token?.kind === "symbol" && token.text === symbol;
}

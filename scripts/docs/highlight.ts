type Rules = readonly (readonly [kind: string, pattern: string])[];

const STRING = String.raw`"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'`;
const TEMPLATE = "`(?:\\\\.|[^\\\\`])*`";
const NUMBER = String.raw`\b\d[\d_]*(?:\.\d+)?\b`;
const words = (text: string): string => String.raw`\b(?:${text.split(" ").join("|")})\b`;

const SCRIPT: Rules = [
  ["comment", String.raw`\/\/[^\n]*|\/\*[\s\S]*?\*\/`],
  ["string", `${STRING}|${TEMPLATE}`],
  [
    "keyword",
    words(
      "import export from const let function return async await new class extends if else for of in while throw try catch finally type interface as readonly typeof undefined null true false",
    ),
  ],
  ["number", NUMBER],
];

const SHELL: Rules = [
  ["comment", String.raw`(?<=^|\s)#[^\n]*`],
  ["string", STRING],
  ["keyword", String.raw`^\$(?= )`],
];

const DATA: Rules = [
  ["comment", String.raw`(?<=^|\s)#[^\n]*`],
  ["string", STRING],
  ["keyword", words("true false null")],
  ["number", NUMBER],
];

const SQL: Rules = [
  ["comment", String.raw`--[^\n]*`],
  ["string", STRING],
  [
    "keyword",
    words(
      "select from where insert into values update set delete create alter table publication for as and or not null begin commit grant revoke on to returning primary key references role with user",
    ),
  ],
  ["number", NUMBER],
];

const LANGUAGES: ReadonlyMap<string, Rules> = new Map([
  ...["ts", "js", "tsx"].map((name): [string, Rules] => [name, SCRIPT]),
  ...["sh", "console", "dockerfile"].map((name): [string, Rules] => [name, SHELL]),
  ...["json", "yaml", "nginx"].map((name): [string, Rules] => [name, DATA]),
  ["sql", SQL],
]);

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (found) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[found] ?? "&quot;");
}

/** Code as HTML: comments, strings, keywords and numbers in spans of their own. */
export function highlight(code: string, language: string): string {
  const rules = LANGUAGES.get(language);
  if (rules === undefined) return escapeHtml(code);
  const pattern = new RegExp(rules.map(([, text]) => `(${text})`).join("|"), language === "sql" ? "gim" : "gm");
  let html = "";
  let from = 0;
  for (const found of code.matchAll(pattern)) {
    const kind = rules[found.slice(1).findIndex((group) => group !== undefined)]?.[0] ?? "";
    html += `${escapeHtml(code.slice(from, found.index))}<span class="${kind}">${escapeHtml(found[0])}</span>`;
    from = found.index + found[0].length;
  }
  return html + escapeHtml(code.slice(from));
}

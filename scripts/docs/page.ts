import { lexer, Parser, parser, walkTokens, type Token, type Tokens } from "marked";

import { escapeHtml, highlight } from "./highlight.js";

export interface Heading {
  readonly depth: number;
  readonly text: string;
  /** The anchor, as GitHub makes it. */
  readonly id: string;
}

/** A page of Markdown, read. */
export interface Page {
  /** Its path from the root of the repository. */
  readonly file: string;
  readonly title: string;
  /** What its first paragraph begins with, as plain text: a sentence, or two where the first is a few words. */
  readonly summary: string;
  readonly headings: readonly Heading[];
  /** What is found under a heading besides it, by what is said of it; the id is the heading's. */
  readonly terms: readonly { readonly text: string; readonly of: string; readonly id: string }[];
  /** Where its links and pictures go, as written. */
  readonly links: readonly string[];
  /** @param linkTo what a link of the page becomes; `undefined` for plain text. */
  html(linkTo: (href: string) => string | undefined): string;
}

export function readPage(file: string, source: string): Page {
  const tokens = lexer(source);
  const headings = headingsOf(tokens);
  const links: string[] = [];
  // What it returns are promises only where the callback gives any.
  void walkTokens(tokens, (token) => {
    if (token.type === "link" || token.type === "image") links.push((token as Tokens.Link).href);
  });
  return {
    file,
    title: headings[0]?.text ?? file,
    summary: summaryOf(tokens),
    headings,
    terms: [],
    links,
    // Tokens are changed on the way out, so each time they are made anew.
    html: (linkTo) => render(lexer(source), headings, linkTo),
  };
}

function render(
  tokens: ReturnType<typeof lexer>,
  headings: readonly Heading[],
  linkTo: (href: string) => string | undefined,
): string {
  void walkTokens(tokens, (token) => {
    if (token.type !== "link" && token.type !== "image") return;
    const link = token as Tokens.Link;
    const target = linkTo(link.href);
    if (target !== undefined) link.href = target;
    else become(token, Parser.parseInline(link.tokens));
  });
  let heading = 0;
  void walkTokens(tokens, (token) => {
    if (token.type === "code") become(token, codeBlock(token as Tokens.Code));
    if (token.type !== "heading") return;
    const { depth, id } = headings[heading++] ?? { depth: 1, id: "" };
    const text = Parser.parseInline((token as Tokens.Heading).tokens);
    const anchor = depth === 1 ? "" : ` <a class="anchor" href="#${id}" aria-label="Link to this section">#</a>`;
    become(token, `<h${depth} id="${id}">${text}${anchor}</h${depth}>\n`);
  });
  return parser(tokens)
    .replaceAll("<table>", '<div class="scroll" tabindex="0"><table>')
    .replaceAll("</table>", "</table></div>");
}

/** Finished HTML passes the parser untouched. */
function become(token: Token, html: string): void {
  Object.assign(token, { type: "html", text: html, raw: html, block: true, pre: false, tokens: [] });
}

function codeBlock({ text, lang = "" }: Tokens.Code): string {
  const language = lang.split(/\s/)[0] ?? "";
  const name = language === "" ? "" : ` data-language="${escapeHtml(language)}"`;
  return `<pre tabindex="0"${name}><code>${highlight(text, language)}</code></pre>\n`;
}

function headingsOf(tokens: readonly Token[]): Heading[] {
  const found = tokens
    .filter((token): token is Tokens.Heading => token.type === "heading")
    .map(({ depth, tokens: inline }) => ({ depth, text: plainText(inline) }));
  const ids = anchorsOf(found.map(({ text }) => text));
  return found.map((heading, index) => ({ ...heading, id: ids[index] ?? "" }));
}

/** The anchors of a page's headings, in their order. */
export function anchorsOf(texts: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return texts.map((text) => {
    const slug = text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-");
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    return before === 0 ? slug : `${slug}-${before}`;
  });
}

function summaryOf(tokens: readonly Token[]): string {
  const first = tokens.find((token): token is Tokens.Paragraph => token.type === "paragraph" && !isPicture(token));
  const begun = plainText(first?.tokens ?? []).replace(/\s+/g, " ");
  const text = begun.replace(/^(?:In short|TL;DR)[.:] /, "");
  // A name of code keeps its letter.
  const isCode = (first?.raw ?? "").replace(/^[*]*(?:In short|TL;DR)[.:][*]* /, "").startsWith("`");
  const sentence = /^.{30,}?[.](?= [A-Z`]|$)/.exec(text)?.[0] ?? text;
  return (isCode ? sentence : sentence.charAt(0).toUpperCase() + sentence.slice(1)).replace(/:$/, ".");
}

function isPicture(paragraph: Token): boolean {
  return "tokens" in paragraph && paragraph.tokens?.[0]?.type === "image";
}

function plainText(tokens: readonly Token[]): string {
  return tokens
    .map((token) => {
      if ("tokens" in token && token.tokens !== undefined && token.tokens.length > 0) return plainText(token.tokens);
      return "text" in token ? unescaped(String(token.text)) : "";
    })
    .join("");
}

/** The lexer escapes what is plain text. */
function unescaped(text: string): string {
  const named: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => named[name] ?? "");
}

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { apiPages } from "./api.js";
import { escapeHtml } from "./highlight.js";
import { addressOf, NAVIGATION } from "./navigation.js";
import { readPage, type Page } from "./page.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const asset = (name: string): string => readFileSync(join(root, "scripts/docs/assets", name), "utf8");

/** The path of what a link of a page names, from the root of the repository; `undefined` for another site. */
export function targetOf(file: string, href: string): { readonly file: string; readonly anchor: string } | undefined {
  if (/^[a-z]+:/i.test(href)) return undefined;
  const [path = "", anchor = ""] = href.split("#");
  return { file: path === "" ? file : posix.join(posix.dirname(file), path), anchor };
}

/** Every page there is, in the order of the navigation. */
export function readPages(): Page[] {
  return NAVIGATION.flatMap(({ files }) => files)
    .filter((file) => existsSync(join(root, file)))
    .map((file) => readPage(file, readFileSync(join(root, file), "utf8")));
}

/** The list of all pages with a line each, for those who read by machine: see llmstxt.org. */
export function llmsText(pages: readonly Page[], addressFor: (file: string) => string): string {
  const byFile = new Map(pages.map((page) => [page.file, page]));
  const sections = NAVIGATION.map(({ title, files }) => {
    const lines = files
      .map((file) => byFile.get(file))
      .filter((page) => page !== undefined)
      .map((page) => `- [${page.title}](${addressFor(page.file)}): ${page.summary}`);
    return `## ${title}\n\n${lines.join("\n")}\n`;
  });
  const about = byFile.get("README.md");
  return `# ${about?.title ?? ""}\n\n> ${about?.summary ?? ""}\n\n${sections.join("\n")}`;
}

/** The files of the site by their address. Everything they need is among them. */
export function buildSite(): Map<string, string> {
  const pages = [...readPages(), ...apiPages()];
  const pictures = new Set<string>();
  const site = new Map<string, string>();
  for (const page of pages) {
    const address = addressOf(page.file);
    const html = page.html((href) => {
      const target = targetOf(page.file, href);
      if (target === undefined) return href;
      const anchor = target.anchor === "" ? "" : `#${target.anchor}`;
      if (target.file.endsWith(".svg")) {
        pictures.add(target.file);
        return towards(address, posix.basename(target.file));
      }
      const known = pages.find(({ file }) => file === target.file);
      return known === undefined ? undefined : towards(address, addressOf(known.file)) + anchor;
    });
    site.set(address, frame(page, address, html, pages));
  }
  for (const picture of pictures) site.set(posix.basename(picture), readFileSync(join(root, picture), "utf8"));
  site.set("style.css", asset("style.css"));
  site.set("page.js", asset("page.js"));
  site.set("search-index.js", searchIndex(pages));
  site.set("llms.txt", llmsText(pages, addressOf));
  return site;
}

function towards(from: string, to: string): string {
  return relative(posix.dirname(from), to);
}

/** A script and no JSON: so it is read from a folder on disk as well. */
function searchIndex(pages: readonly Page[]): string {
  const entries = pages.flatMap(({ file, title, headings, terms }) => [
    ...headings.map(({ depth, text, id }) => [title, text, addressOf(file) + (depth === 1 ? "" : `#${id}`)]),
    ...terms.map(({ text, of, id }) => [`${title}: ${of}`, text, `${addressOf(file)}#${id}`]),
  ]);
  return `window.searchIndex = ${JSON.stringify(entries)};\n`;
}

function frame(page: Page, address: string, html: string, pages: readonly Page[]): string {
  const to = (target: string): string => towards(address, target);
  const title = page.file === "README.md" ? "tiercache" : `${page.title} · tiercache`;
  return `<!doctype html>
<html lang="en" data-root="${to(".") === "" ? "." : to(".")}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="${escapeHtml(page.summary)}">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${to("style.css")}">
<script src="${to("search-index.js")}" defer></script>
<script src="${to("page.js")}" defer></script>
</head>
<body>
<a class="skip" href="#content">To the text</a>
<header>
<button id="menu" type="button" aria-expanded="false" aria-controls="navigation">Menu</button>
<a class="name" href="${to("index.html")}">tiercache</a>
<div class="search" role="search">
<input id="search" type="search" placeholder="Search" aria-label="Search headings and names" autocomplete="off" aria-controls="found">
<ol id="found" hidden></ol>
</div>
<button id="theme" type="button" aria-label="Light or dark">◐</button>
</header>
<div class="columns">
<nav id="navigation" aria-label="Pages">
${navigation(page, to, pages)}</nav>
<main id="content">
${html}</main>
${contents(page)}</div>
</body>
</html>
`;
}

function navigation(current: Page, to: (target: string) => string, pages: readonly Page[]): string {
  // The pages of the API are many: they show where one of them is looked at.
  const isOfApi = (file: string): boolean => file === "api.md" || (file.startsWith("api/") && isApi(current));
  const sections = [
    ...NAVIGATION.map(({ title, files }) => ({ title, members: pages.filter(({ file }) => files.includes(file)) })),
    { title: "API", members: pages.filter(({ file }) => isOfApi(file)) },
  ];
  return sections
    .map(({ title, members }) => {
      const items = members.map((page) => {
        const here = page.file === current.file ? ' aria-current="page"' : "";
        return `<li><a href="${to(addressOf(page.file))}"${here}>${escapeHtml(SHORT_NAMES.get(page.file) ?? page.title)}</a></li>\n`;
      });
      return `<h2>${title}</h2>\n<ul>\n${items.join("")}</ul>\n`;
    })
    .join("");
}

const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ["README.md", "Overview"],
  ["api.md", "All entry points"],
]);

const isApi = ({ file }: Page): boolean => file === "api.md" || file.startsWith("api/");

/** The sections of a page; of an entry point's, every name. */
function contents(page: Page): string {
  const depths = page.file.startsWith("api/") ? [2, 3] : [2];
  const sections = page.headings.filter(({ depth }) => depths.includes(depth));
  if (sections.length < 3) return "";
  const items = sections.map(
    ({ depth, text, id }) =>
      `<li${depths.length > 1 ? ` class="depth-${depth}"` : ""}><a href="#${id}">${escapeHtml(text)}</a></li>\n`,
  );
  return `<aside aria-label="On this page"><h2>On this page</h2>\n<ul>\n${items.join("")}</ul></aside>\n`;
}

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// The compiler that builds the package has no interface for programs; this one reads the same sources.
import ts from "typescript-6";

import { declarationText, documentationOf, isInternal, membersOf } from "./declarations.js";
import { highlight } from "./highlight.js";
import { anchorsOf, readPage, type Page } from "./page.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

interface Export {
  readonly name: string;
  readonly kind: Kind;
  /** What it stands for: of two entry points that export it, the same. */
  readonly symbol: ts.Symbol;
}

interface EntryPoint {
  readonly name: string;
  /** Path of its page from the root of the site, with the ending of its source. */
  readonly file: string;
  readonly exports: readonly Export[];
  readonly anchors: ReadonlyMap<string, string>;
}

const KINDS = ["Functions", "Classes", "Constants", "Types"] as const;
type Kind = (typeof KINDS)[number];

/** A page for each entry point of the package, with what it exports, and a first that lists them: all from the sources' own documentation. */
export function apiPages(): Page[] {
  const points = declaredEntryPoints();
  const program = programOf(points.map(({ source }) => join(root, source)));
  const checker = program.getTypeChecker();
  const entries = points.map(({ name, source }) =>
    entryPoint(name, program.getSourceFile(join(root, source)), checker),
  );
  const links = new Links(entries);
  return [indexPage(entries, checker), ...entries.map((entry) => entryPage(entry, links, checker))];
}

/** Only names and texts are asked for, so no library is read, nor any package. */
function programOf(rootNames: readonly string[]): ts.Program {
  const options: ts.CompilerOptions = { noLib: true, types: [], module: ts.ModuleKind.ESNext };
  const host = ts.createCompilerHost(options);
  host.resolveModuleNameLiterals = (literals, containing) =>
    literals.map(({ text }) => ({
      resolvedModule: text.startsWith(".")
        ? { resolvedFileName: join(dirname(containing), text.replace(/\.js$/, ".ts")), extension: ts.Extension.Ts }
        : undefined,
    }));
  return ts.createProgram({ rootNames, options, host });
}

/** As `exports` of package.json declares them, by the sources they are built from. */
function declaredEntryPoints(): { readonly name: string; readonly source: string }[] {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  };
  return Object.entries(exports).flatMap(([path, target]) => {
    if (typeof target === "string") return [];
    const source = target.types.replace(/^\.\/dist/, "src").replace(/\.d\.ts$/, ".ts");
    return [{ name: path.replace(/^\./, "tiercache"), source }];
  });
}

function entryPoint(name: string, file: ts.SourceFile | undefined, checker: ts.TypeChecker): EntryPoint {
  const module = file && checker.getSymbolAtLocation(file);
  const exports = (module === undefined ? [] : checker.getExportsOfModule(module))
    .map((symbol) => {
      const real = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return { name: symbol.name, kind: kindOf(real), symbol: real };
    })
    .filter(({ symbol }) => symbol.declarations?.every(isInternal) !== true)
    .sort((one, other) => one.name.localeCompare(other.name, "en"));
  const inOrder = KINDS.flatMap((kind) => exports.filter((each) => each.kind === kind));
  const ids = anchorsOf([name, ...KINDS, ...inOrder.map((each) => each.name)]).slice(1 + KINDS.length);
  return {
    name,
    file: `api/${name.replace("/", "-")}.md`,
    exports: inOrder,
    anchors: new Map(inOrder.map((each, index) => [each.name, ids[index] ?? ""])),
  };
}

function kindOf({ flags }: ts.Symbol): Kind {
  if (flags & ts.SymbolFlags.Function) return "Functions";
  if (flags & ts.SymbolFlags.Class) return "Classes";
  return flags & ts.SymbolFlags.Variable ? "Constants" : "Types";
}

/** Where the page of a name is: of what the entry point itself exports, else of the one thing in the package that is called so. */
class Links {
  readonly #places = new Map<string, { readonly symbol: ts.Symbol; readonly address: string }[]>();

  constructor(entries: readonly EntryPoint[]) {
    for (const { file, exports, anchors } of entries) {
      for (const { name, symbol } of exports) {
        const places = this.#places.get(name) ?? [];
        this.#places.set(name, places);
        places.push({
          symbol,
          address: `${file.replace(/^api\//, "").replace(/md$/, "html")}#${anchors.get(name) ?? ""}`,
        });
      }
    }
  }

  of(name: string, from: EntryPoint): string | undefined {
    const own = from.anchors.get(name);
    if (own !== undefined) return `#${own}`;
    const places = this.#places.get(name) ?? [];
    const isOne = new Set(places.map(({ symbol }) => symbol)).size === 1;
    return isOne ? places[0]?.address : undefined;
  }
}

function indexPage(entries: readonly EntryPoint[], checker: ts.TypeChecker): Page {
  const sections = entries.map((entry) => {
    const lists = KINDS.filter((kind) => kind !== "Types").flatMap((kind) =>
      entry.exports.filter((each) => each.kind === kind).map((each) => lineOf(each, entry, checker)),
    );
    const types = entry.exports.filter(({ kind }) => kind === "Types").length;
    const rest = types === 0 ? "" : `\n\nAnd ${types} ${types === 1 ? "type" : "types"}.`;
    return `## [${entry.name}](${entry.file})\n\n${lists.join("\n")}${rest}\n`;
  });
  const about =
    "What each entry point of the package exports, from the documentation in its sources. The search finds every name.";
  return readPage("api.md", `# API\n\n${about}\n\n${sections.join("\n")}`);
}

function lineOf({ name, symbol }: Export, { file, anchors }: EntryPoint, checker: ts.TypeChecker): string {
  const [about = ""] = documentationOf(symbol, checker).split("\n\n");
  const sentence = /^.*?[.](?= |$)/s.exec(about.replaceAll("\n", " "))?.[0] ?? "";
  return `- [\`${name}\`](${file}#${anchors.get(name) ?? ""})${sentence === "" ? "" : `: ${withoutLinks(sentence)}`}`;
}

function entryPage(entry: EntryPoint, links: Links, checker: ts.TypeChecker): Page {
  const sections = KINDS.flatMap((kind) => {
    const members = entry.exports.filter((each) => each.kind === kind);
    const texts = members.map((each) => `### ${each.name}\n\n${textOf(each, entry, links, checker)}`);
    return members.length === 0 ? [] : [`## ${kind}\n\n${texts.join("")}`];
  });
  const about = `What \`${entry.name}\` exports, from the documentation in its sources.`;
  const terms = entry.exports.flatMap(({ name, symbol }) =>
    [...new Set((symbol.declarations ?? []).flatMap(membersOf))].map((text) => ({
      text,
      of: name,
      id: entry.anchors.get(name) ?? "",
    })),
  );
  return { ...readPage(entry.file, `# ${entry.name}\n\n${about}\n\n${sections.join("\n")}`), terms };
}

function textOf({ symbol }: Export, entry: EntryPoint, links: Links, checker: ts.TypeChecker): string {
  const code = (symbol.declarations ?? []).map(declarationText).filter(Boolean).join("\n");
  const html = linkNames(highlight(code, "ts"), (name) => (name === symbol.name ? undefined : links.of(name, entry)));
  const about = documentationOf(symbol, checker).replaceAll(
    /(?<![[(`])\bdocs\/[\w/-]+\.md\b/g,
    (file) => `[${file}](../${file})`,
  );
  return `<pre tabindex="0" data-language="ts"><code>${html}</code></pre>\n\n${about}\n\n`;
}

/** Highlighted code in which the names that have a place lead there; comments and strings stay as they are. */
export function linkNames(html: string, placeOf: (name: string) => string | undefined): string {
  return html.replaceAll(/<span class="(?:comment|string)">[^<]*<\/span>|<[^>]*>|&\w+;|\b[A-Za-z]\w*\b/g, (found) => {
    const place = /^[A-Z]/.test(found) ? placeOf(found) : undefined;
    return place === undefined ? found : `<a href="${place}">${found}</a>`;
  });
}

function withoutLinks(text: string): string {
  return text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
}

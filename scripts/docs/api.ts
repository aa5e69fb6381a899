import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// The compiler that builds the package has no interface for programs; this one reads the same sources.
import ts from "typescript-6";

import { readPage, type Page } from "./page.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** A longer declaration is cut: its file has the rest. */
const MOST_LINES = 120;

/** A page that lists what each entry point of the package exports, from the sources' own documentation. */
export function apiPage(): Page {
  const points = entryPoints();
  const program = programOf(points.map(({ source }) => join(root, source)));
  const checker = program.getTypeChecker();
  const sections = points.map(({ name, source }) => {
    const file = program.getSourceFile(join(root, source));
    const module = file && checker.getSymbolAtLocation(file);
    const symbols = module === undefined ? [] : checker.getExportsOfModule(module);
    const entries = symbols
      .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
      .map((symbol, index) => entryOf(symbols[index]?.name ?? symbol.name, symbol, checker));
    return `## ${name}\n\n${entries.join("")}`;
  });
  const about = "What each entry point of the package exports, from the documentation in its sources.";
  return readPage("api.md", `# API\n\n${about}\n\n${sections.join("\n")}`);
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
function entryPoints(): { readonly name: string; readonly source: string }[] {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  };
  return Object.entries(exports).flatMap(([path, target]) =>
    typeof target === "string"
      ? []
      : [
          {
            name: path.replace(/^\./, "tiercache"),
            source: target.types.replace(/^\.\/dist/, "src").replace(/\.d\.ts$/, ".ts"),
          },
        ],
  );
}

function entryOf(name: string, symbol: ts.Symbol, checker: ts.TypeChecker): string {
  const declaration = symbol.declarations?.[0];
  if (declaration === undefined) return "";
  const about = wholeBlocks(ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim());
  const lines = declarationText(declaration).split("\n");
  const cut = lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES), "// …"] : lines;
  return `### ${name}\n\n${about}\n\n\`\`\`ts\n${cut.join("\n")}\n\`\`\`\n\n`;
}

/** The compiler takes an "@" in an example for the next tag and ends there: what it leaves of the example goes. */
function wholeBlocks(about: string): string {
  const fences = about.split("```");
  return fences.length % 2 === 1 ? about : fences.slice(0, -1).join("```").trimEnd();
}

/** The declaration without what it does. */
function declarationText(declaration: ts.Declaration): string {
  const whole = (node: ts.Node): string => node.getText();
  if (ts.isFunctionDeclaration(declaration)) {
    const end = declaration.body?.getStart() ?? declaration.getEnd();
    return declaration.getSourceFile().text.slice(declaration.getStart(), end).trimEnd();
  }
  if (ts.isVariableDeclaration(declaration)) {
    const type = declaration.type === undefined ? "" : `: ${whole(declaration.type)}`;
    return `export const ${whole(declaration.name)}${type}`;
  }
  if (ts.isClassDeclaration(declaration)) {
    const open = declaration.members.pos;
    return declaration.getSourceFile().text.slice(declaration.getStart(), open).trimEnd().replace(/\{$/, "").trimEnd();
  }
  return whole(declaration);
}

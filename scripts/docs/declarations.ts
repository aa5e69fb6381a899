import ts from "typescript-6";

/** A longer declaration is cut: its source has the rest. */
const MOST_LINES = 120;
/** The value of a constant is shown up to this many lines of it. */
const MOST_VALUE_LINES = 40;

/** What a symbol's comment says, and after it what its tags say: what it returns, what it throws. */
export function documentationOf(symbol: ts.Symbol, checker: ts.TypeChecker): string {
  const about = wholeBlocks(ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim());
  const tags = symbol.getJsDocTags(checker).flatMap(({ name, text }) => {
    const said = ts.displayPartsToString(text).trim();
    const title = TAG_TITLES.get(name);
    return title === undefined || said === "" ? [] : [`*${title}* ${name === "param" ? parameter(said) : said}`];
  });
  return [about, ...new Set(tags)].filter(Boolean).join("\n\n");
}

const TAG_TITLES: ReadonlyMap<string, string> = new Map([
  ["param", "Takes"],
  ["returns", "Returns"],
  ["throws", "Throws"],
  ["default", "By default"],
]);

function parameter(said: string): string {
  return said.replace(/^(\w+)\s*/, "`$1`: ");
}

/** The compiler takes an "@" in an example for the next tag and ends there: what it leaves of the example goes. */
function wholeBlocks(about: string): string {
  const fences = about.split("```");
  return fences.length % 2 === 1 ? about : fences.slice(0, -1).join("```").trimEnd();
}

/** A declaration without what it does: a signature, a type with its comments, a class with what is public, a constant with its value. */
export function declarationText(declaration: ts.Declaration): string {
  const lines = textOf(declaration)
    .replace(/^export /, "")
    .split("\n");
  return (lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES), "// …"] : lines).join("\n");
}

function textOf(declaration: ts.Declaration): string {
  if (ts.isFunctionDeclaration(declaration)) return functionText(declaration);
  if (ts.isVariableDeclaration(declaration)) return constantText(declaration);
  if (ts.isClassDeclaration(declaration)) return classText(declaration);
  if (ts.isInterfaceDeclaration(declaration)) return interfaceText(declaration);
  return declaration.getText();
}

/** Of a function with overloads the last one is what does it, and no signature: it is told by its body. */
function functionText(declaration: ts.FunctionDeclaration): string {
  const { body } = declaration;
  const siblings = declaration.parent.getChildren().flatMap((child) => child.getChildren());
  const isOverloaded = siblings.some(
    (other) => other !== declaration && ts.isFunctionDeclaration(other) && other.name?.text === declaration.name?.text,
  );
  if (body !== undefined && isOverloaded) return "";
  return textUntil(declaration, body);
}

function constantText(declaration: ts.VariableDeclaration): string {
  const type = declaration.type === undefined ? "" : `: ${declaration.type.getText()}`;
  const { initializer } = declaration;
  const value = initializer !== undefined && isData(initializer) ? initializer.getText() : "";
  const isShown = value !== "" && value.split("\n").length <= MOST_VALUE_LINES;
  return `const ${declaration.name.getText()}${type}${isShown ? ` = ${value}` : ""}`;
}

function isData(node: ts.Expression): boolean {
  if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) return isData(node.expression);
  return ts.isObjectLiteralExpression(node) || ts.isArrayLiteralExpression(node) || ts.isLiteralExpression(node);
}

function classText(declaration: ts.ClassDeclaration): string {
  const head = declaration
    .getSourceFile()
    .text.slice(declaration.getStart(), declaration.members.pos)
    .trimEnd()
    .replace(/\{$/, "{");
  const members = declaration.members.filter(isPublic).map((member) => `  ${memberText(member)}`);
  return `${[head, ...members].join("\n")}\n}`;
}

/** The names of what an interface or a class has, as its declaration shows them. */
export function membersOf(declaration: ts.Declaration): string[] {
  if (!ts.isInterfaceDeclaration(declaration) && !ts.isClassDeclaration(declaration)) return [];
  const members: readonly (ts.TypeElement | ts.ClassElement)[] = declaration.members;
  return members
    .filter((member) => (ts.isClassElement(member) ? isPublic(member) : !isInternal(member)))
    .flatMap(({ name }) => (name !== undefined && ts.isIdentifier(name) ? [name.text] : []));
}

/** As it is written, without what the package's declaration files leave out. */
function interfaceText(declaration: ts.InterfaceDeclaration): string {
  const start = declaration.getStart();
  const text = declaration.getText();
  return declaration.members
    .filter(isInternal)
    .toReversed()
    .reduce((rest, member) => {
      const [from, to] = [member.getFullStart() - start, member.getEnd() - start];
      return rest.slice(0, from) + rest.slice(to);
    }, text);
}

/** What the compiler's `stripInternal` leaves out. */
export function isInternal(node: ts.Node): boolean {
  return ts.getJSDocTags(node).some(({ tagName }) => tagName.text === "internal");
}

function isPublic(member: ts.ClassElement): boolean {
  if (member.name !== undefined && ts.isPrivateIdentifier(member.name)) return false;
  const hidden = ts.getCombinedModifierFlags(member) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected);
  return !isInternal(member) && hidden === 0 && !ts.isClassStaticBlockDeclaration(member);
}

function memberText(member: ts.ClassElement): string {
  const comment = ts.getJSDocCommentsAndTags(member).map((doc) => `${doc.getText()}\n  `);
  const body = "body" in member ? (member.body as ts.Node | undefined) : undefined;
  if (ts.isPropertyDeclaration(member) && member.initializer !== undefined)
    return comment.join("") + textUntil(member, member.initializer).replace(/\s*=$/, ";");
  const text = textUntil(member, body);
  return comment.join("") + (text.endsWith(";") ? text : `${text};`);
}

function textUntil(node: ts.Node, end: ts.Node | undefined): string {
  return node
    .getSourceFile()
    .text.slice(node.getStart(), end?.getStart() ?? node.getEnd())
    .trimEnd();
}

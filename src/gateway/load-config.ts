import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { CacheError } from "../errors.js";
import type { GatewayConfig } from "./config.js";
import { issuesOf } from "./config-schema.js";
import { JsonError, parseJson } from "./json-text.js";
import type { Issue } from "./schema.js";

const SCRIPTS: ReadonlySet<string> = new Set([".ts", ".mts", ".js", ".mjs"]);
const MOST_SHOWN = 10;

/**
 * The configuration in a file: JSON, or a module (TypeScript or JavaScript) with it as its default export or as `config`.
 *
 * @param over what counts instead of what the file says, field by field: the command line.
 * @throws CacheError `ERR_CACHE_OPTION` that says file, line and column of what is wrong (of a module, the file and the field).
 */
export async function loadConfig(file: string, over: GatewayConfig = {}): Promise<GatewayConfig> {
  if (SCRIPTS.has(extname(file))) {
    const given = merged(await importConfig(file), over);
    throwIssues(issuesOf(given), () => file);
    return given as GatewayConfig;
  }
  const text = await read(file);
  try {
    const { value, positionOf } = parseJson(text);
    const given = merged(value, over);
    throwIssues(issuesOf(given), ({ path, isName }) => {
      const { line, column } = positionOf(path, isName);
      return `${file}:${line}:${column}`;
    });
    return given as GatewayConfig;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const { line, column } = error.position;
    throw new CacheError("ERR_CACHE_OPTION", `${file}:${line}:${column}: ${error.message}`, { cause: error });
  }
}

function merged(given: unknown, over: GatewayConfig): unknown {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return given;
  const file = given as GatewayConfig;
  const listen = over.listen === undefined ? {} : { listen: { ...file.listen, ...over.listen } };
  return { ...file, ...over, ...listen };
}

function throwIssues(issues: readonly Issue[], placeOf: (issue: Issue) => string): void {
  if (issues.length === 0) return;
  const lines = issues.slice(0, MOST_SHOWN).map((issue) => `${placeOf(issue)}: ${issue.message}`);
  if (issues.length > MOST_SHOWN) lines.push(`… and ${issues.length - MOST_SHOWN} more`);
  throw new CacheError("ERR_CACHE_OPTION", lines.join("\n"));
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new CacheError("ERR_CACHE_OPTION", `${file}: ${reasonOf(cause)}`, { cause });
  }
}

async function importConfig(file: string): Promise<unknown> {
  const path = resolve(file);
  // One that is not there is better told as such than as a module that did not load.
  await read(path);
  let loaded: unknown;
  try {
    loaded = await importModule(path);
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    throw new CacheError("ERR_CACHE_OPTION", `${file}: ${reasonOf(cause)}`, { cause });
  }
  // Where TypeScript is read as CommonJS, all that the module exports is its default export.
  const inner = fieldOf(loaded, "default");
  const module = fieldOf(inner, "__esModule") === true ? inner : loaded;
  const config = fieldOf(module, "default") ?? fieldOf(module, "config");
  if (config !== undefined) return config;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `${file}: Expected the configuration to be the default export, or \`config\``,
  );
}

function fieldOf(module: unknown, name: string): unknown {
  return typeof module === "object" && module !== null ? Reflect.get(module, name) : undefined;
}

/** A module as it is now: read again, whatever was loaded of it before. */
async function importModule(path: string): Promise<unknown> {
  const url = pathToFileURL(path);
  url.searchParams.set("loaded", String(Date.now()));
  if (!path.endsWith("ts") || stripsTypes()) return import(url.href);
  const tsx = await loadTsx(path);
  return tsx.tsImport(pathToFileURL(path).href, import.meta.url);
}

function stripsTypes(): boolean {
  return "typescript" in process.features && process.features.typescript !== false;
}

interface Tsx {
  tsImport(specifier: string, parent: string): Promise<unknown>;
}

/** What reads TypeScript where Node does not: that of the configuration's own project, or the one beside this package. */
async function loadTsx(path: string): Promise<Tsx> {
  for (const from of [path, import.meta.url]) {
    let manifest: string;
    try {
      manifest = createRequire(from).resolve("tsx/package.json");
    } catch {
      // Not installed there.
      continue;
    }
    // By its file: resolved from another's folder, a name has the form of `require`, which does not read modules.
    return (await import(new URL("dist/esm/api/index.mjs", pathToFileURL(manifest)).href)) as Tsx;
  }
  throw new CacheError("ERR_CACHE_OPTION", `${path}: TypeScript needs Node 22.18, or the package \`tsx\`: npm i tsx`);
}

function reasonOf(cause: unknown): string {
  const error = cause as NodeJS.ErrnoException | undefined;
  if (error?.code === "ENOENT") return "no such file";
  return cause instanceof Error ? cause.message : String(cause);
}

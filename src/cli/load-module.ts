import { access, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import type { Cache } from "../api.js";

/** What keeps a user's module from being used; `missing` when it is not there. */
export class ModuleError extends Error {
  readonly missing: boolean;

  constructor(message: string, options: { readonly missing?: boolean; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "ModuleError";
    this.missing = options.missing === true;
  }
}

/** A module of the user's: its exports. */
export type LoadedModule = Readonly<Record<string, unknown>>;

interface TsxManifest {
  readonly exports: { readonly "./esm/api": { readonly import: { readonly default: string } } };
}

/**
 * Imports a module of the user's, JavaScript or TypeScript; the latter by the `tsx` of the user's own project where Node cannot.
 *
 * @throws ModuleError that says what to do.
 */
export async function loadModule(path: string): Promise<LoadedModule> {
  const file = resolve(path);
  await access(file).catch((cause: unknown) => {
    throw new ModuleError(`There is no file ${path}`, { missing: true, cause });
  });
  const url = pathToFileURL(file).href;
  try {
    return (await import(url)) as LoadedModule;
  } catch (error) {
    if (!/\.[cm]?tsx?$/.test(file) || (error as NodeJS.ErrnoException).code !== "ERR_UNKNOWN_FILE_EXTENSION")
      throw error;
    return loadTypeScript(path, file, url);
  }
}

async function loadTypeScript(path: string, file: string, url: string): Promise<LoadedModule> {
  let loader: string;
  try {
    // The module for `import`, which `require.resolve` does not give.
    const manifest = createRequire(file).resolve("tsx/package.json");
    const { exports } = JSON.parse(await readFile(manifest, "utf8")) as TsxManifest;
    loader = join(dirname(manifest), exports["./esm/api"].import.default);
  } catch (cause) {
    throw new ModuleError(`${path} is TypeScript: install tsx beside it (npm i -D tsx), or give a JavaScript file`, {
      cause,
    });
  }
  const { tsImport } = (await import(pathToFileURL(loader).href)) as {
    tsImport: (url: string, parent: string) => Promise<LoadedModule>;
  };
  return tsImport(url, url);
}

/** The export of a name, or the one under it in the default export, as modules compiled to CommonJS have it. */
export function exported(module: LoadedModule, name: string): unknown {
  const fallback: unknown = module["default"];
  if (module[name] !== undefined || typeof fallback !== "object" || fallback === null) return module[name];
  return Reflect.get(fallback, name);
}

/** Gives back what a module opened: its caches, and the rest by a function `close` that it may export. */
export async function closeModule(module: LoadedModule, caches: readonly Cache[]): Promise<void> {
  for (const cache of caches) await cache.close();
  const close = exported(module, "close");
  if (typeof close === "function") await (close as () => unknown)();
}

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, stat, symlink } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "../scripts/build.js";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

interface Packed {
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

const BUILD_LIMIT_MS = 120_000;
const MAX_PACKED_BYTES = 1_200_000;

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Manifest;

const entries = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === "string" ? [] : [{ subpath, script: target.default, declaration: target.types }],
);

/** What parses structured fields, for all that is made of the HTTP cache. */
const OF_HTTP = { script: ["structured-headers"], declaration: [] } as const;

/** Packages that an entry point's script or declaration may import, beside Node's own modules and its own files. */
const MAY_IMPORT: Readonly<
  Record<string, { readonly script: readonly string[]; readonly declaration: readonly string[] }>
> = {
  // When a feed is made; a connection for replication is not something a pool has.
  "./postgres": { script: ["pg"], declaration: [] },
  // The types of the library that it is about; nobody uses it without that.
  "./http": OF_HTTP,
  "./fastify": OF_HTTP,
  "./express": OF_HTTP,
  "./hono": OF_HTTP,
  "./gateway": OF_HTTP,
  "./nest": { script: [], declaration: ["@nestjs/common"] },
  "./kysely": { script: [], declaration: ["kysely"] },
  "./typeorm": { script: [], declaration: ["typeorm"] },
};

/** Entry points that are made of another's: adapters of tools that sit on a driver, faces of the HTTP cache. */
const MADE_OF: Readonly<Record<string, readonly string[]>> = {
  "./kysely": ["dist/postgres/", "dist/orm/"],
  "./drizzle": ["dist/postgres/", "dist/orm/"],
  "./prisma": ["dist/postgres/", "dist/orm/"],
  "./typeorm": ["dist/postgres/", "dist/orm/"],
  "./fastify": ["dist/http/", "dist/frameworks/"],
  "./express": ["dist/http/", "dist/frameworks/"],
  "./hono": ["dist/http/", "dist/frameworks/"],
  "./undici": ["dist/http/", "dist/adapters/"],
  "./keyv": ["dist/adapters/"],
  "./unstorage": ["dist/adapters/"],
  "./next": ["dist/adapters/"],
  "./nest": ["dist/adapters/"],
  "./envelop": ["dist/adapters/"],
  "./trpc": ["dist/adapters/"],
  "./gateway": ["dist/http/", "dist/lmdb/", "dist/redis/"],
  "./prometheus": ["dist/telemetry/"],
  "./opentelemetry": ["dist/telemetry/"],
};

/** Declarations of what another library asks for. */
const CONTRACTS: readonly string[] = ["dist/adapters/undici-types.d.ts"];

/** What only the command line may import. */
const OF_CLI = ["commander", "picocolors"];

/** Installed with the package. */
const INSTALLED = [...OF_CLI, ...OF_HTTP.script];

/** The package as it would be published, built here and now, so that a stale `dist` proves nothing. */
let folder: string;
let packed: Packed;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-package-"));
  await build(join(folder, "dist"));
  for (const file of ["package.json", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"].filter((name) =>
    existsSync(join(root, name)),
  )) {
    await copyFile(join(root, file), join(folder, file));
  }
  packed = await pack(folder);
  for (const name of INSTALLED) {
    await mkdir(dirname(join(folder, "node_modules", name)), { recursive: true });
    await symlink(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
}, BUILD_LIMIT_MS);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(entries)("the entry point $subpath", ({ subpath, script, declaration }) => {
  it("is built, and loads where only what it brings along is installed", async () => {
    expect(existsSync(join(folder, declaration))).toBe(true);

    const url = pathToFileURL(join(folder, script)).href;
    const program = `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(url)}))))`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program]);
    const names = JSON.parse(stdout) as string[];

    expect(names.length).toBeGreaterThan(0);
    expect(names).not.toContain("default");
  });

  it.each(["script", "declaration"] as const)("imports nothing but its own files and Node in its %s", async (kind) => {
    const { foreign } = await follow(join(folder, kind === "script" ? script : declaration));

    expect(foreign.filter((name) => !isBuiltin(name))).toEqual(MAY_IMPORT[subpath]?.[kind] ?? []);
    // A builtin without its prefix can be shadowed by a package of that name.
    expect(foreign.filter((name) => isBuiltin(name) && !name.startsWith("node:"))).toEqual([]);
  });

  it("reaches into no other entry point's folder", async () => {
    const { own } = await follow(join(folder, script));
    const drivers = (MADE_OF[subpath] ?? []).map((driver) => join(folder, driver));
    const foreignFolders = entries
      .filter((other) => other.subpath !== "." && other.subpath !== subpath)
      .map((other) => `${dirname(join(folder, other.script))}/`)
      .filter((other) => !drivers.includes(other));

    expect(own.filter((file) => foreignFolders.some((other) => file.startsWith(other)))).toEqual([]);
  });

  it("declares no Buffer of its own: bytes are Uint8Array for those who use it elsewhere than in Node", async () => {
    const { own } = await follow(join(folder, declaration));
    const naming: string[] = [];
    for (const file of own) {
      if (/\bBuffer\b/.test(withoutComments(await readFile(file, "utf8")))) {
        naming.push(relative(folder, file));
      }
    }

    expect(naming.filter((file) => !CONTRACTS.includes(file))).toEqual([]);
  });
});

describe("the host tier", () => {
  it("says what to install where its package is not", async () => {
    const url = pathToFileURL(join(folder, "dist/lmdb/index.js")).href;
    const program = `const { lmdb } = await import(${JSON.stringify(url)});
      try { lmdb({ path: "nowhere" }); } catch ({ code, message }) { console.log(code, message); }`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: folder });

    expect(stdout.trim()).toBe("ERR_CACHE_OPTION lmdb() needs the package `lmdb` (3 or later): npm i lmdb");
  });
});

describe("the package", () => {
  it("ships dist, its manifest, the readme, the changelog, the licence and how to report a hole, and nothing else", async () => {
    // Packed where everything lies that must not be shipped.
    const { files } = await pack(root);

    expect(
      files
        .map((file) => file.path)
        .filter((path) => !path.startsWith("dist/"))
        .toSorted(),
    ).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "package.json"]);
  });

  it("ships scripts and declarations only, and the page of the dashboard", () => {
    const paths = packed.files.map((file) => file.path).filter((path) => path.startsWith("dist/"));
    const page = paths.filter((path) => path.startsWith("dist/admin/assets/"));

    expect(paths.filter((path) => !/\.(js|d\.ts)$/.test(path) && !page.includes(path))).toEqual([]);
    expect(page.filter((path) => !/\.(html|js|css|svg)$/.test(path))).toEqual([]);
    expect(page.some((path) => path.endsWith(".html"))).toBe(true);
  });

  it("ships no test", () => {
    expect(packed.files.map((file) => basename(file.path)).filter((name) => /\.test(-d)?\./.test(name))).toEqual([]);
  });

  it(`stays below ${MAX_PACKED_BYTES / 1000} kB when packed`, () => {
    expect(packed.size).toBeLessThan(MAX_PACKED_BYTES);
  });

  it("names no folder of the machine that built it", async () => {
    const naming: string[] = [];
    for (const { path } of packed.files) {
      const text = await readFile(join(folder, path), "utf8");
      if ([join(root, "src"), join(root, "node_modules"), folder].some((place) => text.includes(place))) {
        naming.push(path);
      }
    }

    expect(naming).toEqual([]);
  });

  it("brings along what the command line and HTTP need, and no other dependency", () => {
    expect(Object.keys(manifest.dependencies ?? {}).toSorted()).toEqual(INSTALLED.toSorted());
  });
});

describe("the command line", () => {
  const program = "dist/cli/main.js";

  it("is the package's one program, and may be executed", async () => {
    expect(manifest.bin).toEqual({ tiercache: `./${program}` });
    expect((await readFile(join(folder, program), "utf8")).split("\n")[0]).toBe("#!/usr/bin/env node");
    expect((await stat(join(folder, program))).mode & 0o111).toBe(0o111);
  });

  it("runs as it is built", async () => {
    const place = await mkdtemp(join(tmpdir(), "tiercache-cli-"));
    try {
      await symlink(join(root, "node_modules"), join(place, "node_modules"));
      await cp(join(folder, "dist"), join(place, "dist"), { recursive: true });
      await copyFile(join(folder, "package.json"), join(place, "package.json"));
      const { stdout } = await run(join(place, program), ["--version"]);
      expect(stdout.trim()).toBe(manifest.version);
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  });

  it("imports nothing but its own files, Node and the dependencies", async () => {
    const { foreign } = await follow(join(folder, program));

    expect(foreign.filter((name) => !isBuiltin(name)).toSorted()).toEqual(
      // `doctor` looks for it when it is asked about a database, and says so where it is not.
      [...INSTALLED, "pg"].toSorted(),
    );
  });

  it.each(entries)("is nothing that $subpath reaches, nor are simulations", async ({ script }) => {
    const { own } = await follow(join(folder, script));

    expect(own.filter((file) => /\/dist\/(?:cli|simulate)\//.test(file))).toEqual([]);
  });
});

/** What `npm publish` would send from a folder, with the size of the archive in bytes. */
async function pack(from: string): Promise<Packed> {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: from });
  const [first] = JSON.parse(stdout) as readonly Packed[];
  if (first === undefined) {
    throw new Error(`Expected npm to describe one package, got ${stdout}`);
  }
  return first;
}

/** Follows the imports of a built file: the package's own files it reaches, itself included, and all else it names. */
async function follow(start: string): Promise<{ own: readonly string[]; foreign: readonly string[] }> {
  const own = new Set([start]);
  const foreign = new Set<string>();
  // A set visits what is added to it on the way.
  for (const file of own) {
    for (const name of importsOf(withoutComments(await readFile(file, "utf8")))) {
      if (name.startsWith(".")) {
        const target = join(dirname(file), name);
        own.add(file.endsWith(".d.ts") ? target.replace(/\.js$/, ".d.ts") : target);
      } else {
        foreign.add(name);
      }
    }
  }
  return { own: [...own], foreign: [...foreign] };
}

/** Every module the compiler's output names: imports, re-exports, dynamic imports and import types. */
function importsOf(code: string): readonly string[] {
  const statement = /^(?:import|export)\b(?:[\w\s{},*$]*\bfrom)?\s*["']([^"']+)["']/gm;
  const expression = /\bimport\(\s*["']([^"']+)["']/g;
  return [statement, expression].flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ""));
}

/** Without comments, whose examples import what they like. */
function withoutComments(code: string): string {
  return code.replace(/^\s*(?:\/\*[\s\S]*?\*\/|\/\/.*$)/gm, "");
}

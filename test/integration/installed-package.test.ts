import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "../../scripts/build.js";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const packages = join(root, "node_modules");

interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Manifest;
const entries = Object.keys(manifest.exports)
  .filter((subpath) => subpath !== "./package.json")
  .map((subpath) => subpath.replace(/^\./, "tiercache"));

/** What a service writes: a cache, an entity with inference from its loader, an invalidation. */
const SERVICE = `
interface Contact { readonly id: number; readonly name: string }
const cache = createCache({ name: "app", tiers: [memory({ maxBytes: "8mb" })], ttl: "1m" });
const contacts = cache.entity({
  name: "contact",
  load: (id: number): Contact => ({ id, name: \`contact \${id}\` }),
});
async function main(): Promise<void> {
  const contact = await contacts.get(7);
  const name: string | undefined = contact?.name;
  // @ts-expect-error Ids of this entity are numbers.
  const wrong = (): unknown => contacts.get("7");
  void wrong;
  const length = await cache.getOrLoad(key\`length:\${name ?? ""}\`, () => (name ?? "").length);
  const exact: number | undefined = length;
  await contacts.invalidate(7);
  console.log(name, exact, cache.stats().total.misses);
  await cache.close();
}
void main();
`;

let place: string;
let app: string;

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "tiercache-installed-"));
  await build(join(place, "package", "dist"));
  for (const file of ["package.json", "README.md", "CHANGELOG.md", "LICENSE"]) {
    await cp(join(root, file), join(place, "package", file));
  }
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", place], {
    cwd: join(place, "package"),
  });
  app = join(place, "app");
  await mkdir(app);
  // What it depends on comes from here, so that nothing is fetched; the package itself comes from its archive.
  const own = (name: string): string => `file:${join(packages, name)}`;
  await writeFile(
    join(app, "package.json"),
    JSON.stringify({
      name: "app",
      private: true,
      type: "module",
      dependencies: { tiercache: `file:${join(place, stdout.trim())}` },
      overrides: Object.fromEntries(Object.keys(manifest.dependencies).map((name) => [name, own(name)])),
    }),
  );
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps"], {
    cwd: app,
  });
  await mkdir(join(app, "node_modules", "@types"), { recursive: true });
  for (const name of ["@types/node", "undici-types"]) {
    await symlink(join(packages, name), join(app, "node_modules", name));
  }
  await writeFile(join(app, "service.ts"), `import { createCache, key, memory } from "tiercache";\n${SERVICE}`);
  await writeFile(
    join(app, "legacy.cts"),
    `import tiercache = require("tiercache");\nconst { createCache, key, memory } = tiercache;\n${SERVICE}`,
  );
  await writeFile(
    join(app, "every-entry.ts"),
    entries.map((entry, index) => `export * as e${index} from "${entry}";`).join("\n"),
  );
}, 180_000);

afterAll(() => rm(place, { recursive: true, force: true }));

describe("the package, installed from its archive into an empty project", () => {
  it("brings its command line", async () => {
    const { stdout } = await run(join(app, "node_modules", ".bin", "tiercache"), ["--version"]);
    expect(stdout.trim()).toBe(manifest.version);
  });

  const compilers = [
    "typescript-5.9",
    "typescript",
    ...(process.env["TIERCACHE_LONG"] === "true" ? ["typescript-6"] : []),
  ];

  describe.each(compilers)("with %s", (compiler) => {
    it("is used by a service as a module and by CommonJS, its declarations checked with everything strict", async () => {
      const out = join(app, `out-${compiler}`);
      expect(await compile(compiler, ["service.ts", "legacy.cts"], ["--outDir", out])).toBe("");
      for (const file of ["service.js", "legacy.cjs"]) {
        await cp(join(app, "package.json"), join(out, "package.json"));
        const { stdout } = await run(process.execPath, [join(out, file)], { cwd: app });
        expect([basename(file), stdout.trim()]).toEqual([basename(file), "contact 7 9 2"]);
      }
    }, 60_000);
  });

  it.each([
    ["typescript-5.9", ["--module", "nodenext"]],
    ["typescript", ["--module", "esnext", "--moduleResolution", "bundler"]],
  ])(
    "has declarations for every entry point, with %s and %j",
    async (compiler, options) => {
      for (const name of [...Object.keys(manifest.peerDependencies), "@types/pg"]) await linked(name);
      expect(await compile(compiler, ["every-entry.ts"], ["--noEmit", "--skipLibCheck", ...options])).toBe("");
    },
    60_000,
  );
});

async function linked(name: string): Promise<void> {
  const target = join(app, "node_modules", name);
  await rm(target, { force: true });
  await mkdir(dirname(target), { recursive: true });
  await symlink(join(packages, name), target);
}

/** @returns what the compiler has to say: nothing, when all is well. */
async function compile(compiler: string, files: readonly string[], options: readonly string[]): Promise<string> {
  const home = dirname(createRequire(import.meta.url).resolve(`${compiler}/package.json`));
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--verbatimModuleSyntax"];
  const target = ["--target", "es2023", "--lib", "es2023,esnext.disposable", "--types", "node"];
  const module = options.includes("--module") ? [] : ["--module", "nodenext"];
  const args = [join(home, "bin", "tsc"), ...strict, ...target, ...module, "--pretty", "false", ...options, ...files];
  const { stdout } = await run(process.execPath, args, { cwd: app }).catch((error: { stdout: string }) => error);
  return stdout;
}

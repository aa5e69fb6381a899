import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const sources = join(root, "dashboard");
/** What the page is built from besides its own folder: folds over reports that both sides use. */
const SHARED = ["src/admin/merge.ts", "src/admin/report.ts", "src/time-histogram.ts"];
const cache = join(root, "node_modules", ".cache", "tiercache-dashboard");

/** Builds the page into a folder, which is emptied first. @throws Error with what the bundler says. */
export async function buildDashboard(outDir: string): Promise<void> {
  const { build } = await import("vite");
  await build({
    configFile: join(sources, "vite.config.ts"),
    logLevel: "warn",
    build: { outDir, emptyOutDir: true },
  });
}

/** A folder with the page as its sources are now: built if they changed since the last time, which takes a second. */
export async function dashboardAssets(): Promise<string> {
  const folder = join(cache, await fingerprint());
  if (existsSync(join(folder, "index.html"))) return folder;
  // Built aside and renamed: two processes that do it at once both end with a whole folder.
  const aside = `${folder}.${process.pid}`;
  await mkdir(cache, { recursive: true });
  await buildDashboard(aside);
  try {
    await rename(aside, folder);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if (!existsSync(join(folder, "index.html"))) throw error;
  }
  return folder;
}

async function fingerprint(): Promise<string> {
  const names = await readdir(sources, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  for (const file of [...files, ...SHARED.map((name) => join(root, name))].sort()) {
    hash.update(file.slice(root.length)).update(await readFile(file));
  }
  return hash.digest("hex").slice(0, 16);
}

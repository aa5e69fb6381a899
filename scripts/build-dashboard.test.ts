import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { dashboardAssets } from "./build-dashboard.js";

const MOST_GZIPPED = 80_000;
const root = join(dirname(fileURLToPath(import.meta.url)), "..");

describe("the dashboard's page", () => {
  let folder: string;
  let files: ReadonlyMap<string, Buffer>;
  beforeAll(async () => {
    folder = await dashboardAssets();
    const names = await readdir(folder);
    files = new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
  }, 60_000);

  const text = (ending: string): string =>
    [...files].flatMap(([name, bytes]) => (name.endsWith(ending) ? [bytes.toString()] : [])).join("\n");

  it(`is at most ${MOST_GZIPPED / 1_000} kB gzipped, all of it`, () => {
    const size = [...files.values()].reduce((sum, bytes) => sum + gzipSync(bytes, { level: 9 }).length, 0);
    expect(size).toBeGreaterThan(10_000);
    expect(size).toBeLessThanOrEqual(MOST_GZIPPED);
  });

  it("is a page, a script, a style and an icon, in one folder", () => {
    expect([...files.keys()].map((name) => name.replace(/-[\w-]{8}\./, "-*.")).toSorted()).toEqual([
      "favicon.svg",
      "index-*.js",
      "index.html",
      "style-*.css",
    ]);
  });

  it("names nothing that is elsewhere, and runs nothing that its policy forbids", () => {
    const html = text(".html");
    const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(named.length).toBeGreaterThanOrEqual(3);
    expect(named.filter((name) => !name.startsWith("./"))).toEqual([]);
    expect(html).not.toMatch(/<script(?![^>]*src=)|style="/);
    expect(text(".css")).not.toMatch(/@import|@font-face|url\((?!["']?data:)/);
    const addresses = [...text(".js").matchAll(/https?:\/\/[\w.-]+/g)].map(([address]) => address);
    // Names of XML's vocabularies, and what a Host header is read with.
    expect(addresses.filter((address) => !/^http:\/\/www\.w3\.org$/.test(address))).toEqual([]);
    expect(text(".js")).not.toMatch(/\beval\(|new Function\(/);
  });

  it("is built once for its sources", async () => {
    expect(await dashboardAssets()).toBe(folder);
  });

  it("is typed", async () => {
    const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
    const checked = promisify(execFile)(process.execPath, [
      tsc,
      "-p",
      join(root, "dashboard"),
      "--noEmit",
      "--pretty",
      "false",
    ]);
    await expect(
      checked.catch((error: { stdout: string }) => Promise.reject(new Error(error.stdout))),
    ).resolves.toBeDefined();
  }, 60_000);
});

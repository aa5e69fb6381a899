import { execFileSync, spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { isExecutable } from "./is-executable.js";

/** What a browser that tests drive is started with: alone, quiet, and asking nobody for anything. */
export const CHROMIUM_FLAGS: readonly string[] = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const INSTALL_TIMEOUT = 300_000;

/** The path of a Chromium: the one TIERCACHE_CHROMIUM names, else the first on PATH; `undefined` when there is none. */
export function findChromium(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env["TIERCACHE_CHROMIUM"];
  if (named !== undefined && named !== "") return named;
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find(isExecutable);
}

/**
 * As `findChromium`, installed from Debian first where there is none and this process may.
 *
 * @throws Error that says what to install.
 */
export function installedChromium(env: NodeJS.ProcessEnv = process.env): string {
  const found = findChromium(env);
  if (found !== undefined) return found;
  const mayInstall = process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0;
  if (mayInstall) {
    const quiet = {
      stdio: "ignore",
      timeout: INSTALL_TIMEOUT,
      env: { ...env, DEBIAN_FRONTEND: "noninteractive" },
    } as const;
    try {
      execFileSync("apt-get", ["install", "-y", "--no-install-recommends", "chromium"], quiet);
    } catch {
      // Lists of packages that are old, or missing.
      execFileSync("apt-get", ["update"], quiet);
      execFileSync("apt-get", ["install", "-y", "--no-install-recommends", "chromium"], quiet);
    }
  }
  const installed = findChromium(env);
  if (installed !== undefined) return installed;
  throw new Error(
    "The tests of the dashboard need Chromium: install the package `chromium` (Debian, Ubuntu), or name one in TIERCACHE_CHROMIUM",
  );
}

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";

/** A program that tests need, and the package of Debian's that has it. */
interface Wanted {
  readonly package: string;
  /** Whether it is here, or another is named in its place. */
  readonly isHere: () => boolean;
}

const WANTED: readonly Wanted[] = [
  { package: "redis-server", isHere: () => isNamed("TIERCACHE_REDIS_SERVER") || runs("redis-server", "--version") },
  { package: "memcached", isHere: () => isNamed("TIERCACHE_MEMCACHED") || runs("memcached", "--version") },
  { package: "varnish", isHere: () => runs("varnishd", "-V") },
  { package: "varnish-modules", isHere: () => hasVarnishModules() },
  { package: "nginx-light", isHere: () => runs("nginx", "-v") },
  {
    package: "libnginx-mod-http-cache-purge",
    isHere: () => existsSync("/usr/lib/nginx/modules/ngx_http_cache_purge_module.so"),
  },
  { package: "prometheus", isHere: () => runs("prometheus", "--version") && runs("promtool", "--version") },
  {
    package: "chromium",
    isHere: () => isNamed("TIERCACHE_CHROMIUM") || runs("chromium", "--version") || runs("google-chrome", "--version"),
  },
];

/**
 * Vitest's global setup: installs at once whatever is missing, as root on Debian, because two installations at a time hinder each
 * other. Elsewhere, and where it fails, the tests that need a program say what to install.
 */
export function setup(): void {
  const missing = WANTED.filter(({ isHere }) => !isHere()).map((wanted) => wanted.package);
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) return;
  process.stderr.write(`Missing: ${missing.join(", ")}. Installing with apt-get\n`);
  if (apt("install", "--no-install-recommends", ...missing)) return;
  // The list of packages may be missing as well, or too old.
  apt("update");
  // One that this Debian does not have must not keep the others away.
  if (!apt("install", "--no-install-recommends", ...missing)) {
    for (const name of missing) apt("install", "--no-install-recommends", name);
  }
}

function apt(...args: readonly string[]): boolean {
  const { status } = spawnSync("apt-get", ["-q", "-y", "-o", "DPkg::Lock::Timeout=120", ...args], {
    stdio: ["ignore", "ignore", "inherit"],
    // RUNLEVEL=1: the packages' own services are not started.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    timeout: 400_000,
  });
  return status === 0;
}

function hasVarnishModules(): boolean {
  if (!existsSync("/usr/lib")) return false;
  return readdirSync("/usr/lib").some((folder) => existsSync(`/usr/lib/${folder}/varnish/vmods/libvmod_xkey.so`));
}

function isNamed(variable: string): boolean {
  return (process.env[variable] ?? "") !== "";
}

function runs(binary: string, flag: string): boolean {
  return spawnSync(binary, [flag], { stdio: "ignore", timeout: 30_000 }).status === 0;
}

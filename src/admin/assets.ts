import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array;
  /** Its name changes with what is in it. */
  readonly isHashed: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const HASHED = /-[\w-]{8}\.(?:js|css)$/;
/** As far from the sources as from what is built. */
const PLACES = ["./assets/", "../../dist/admin/assets/"].map((place) => fileURLToPath(new URL(place, import.meta.url)));

/** The files of the page, read once. Only what is in the folder has a name here, so no name leads out of it. */
export class Assets {
  readonly #places: readonly string[];
  #files: Promise<ReadonlyMap<string, Asset>> | undefined;

  constructor(folder: string | undefined) {
    this.#places = folder === undefined ? PLACES : [folder];
  }

  async find(name: string): Promise<Asset | undefined> {
    this.#files ??= readFirst(this.#places);
    return (await this.#files).get(name);
  }
}

/** Empty when none of the folders has a page. */
async function readFirst(folders: readonly string[]): Promise<ReadonlyMap<string, Asset>> {
  for (const folder of folders) {
    const names = await readdir(folder).catch((): string[] => []);
    if (!names.includes("index.html")) continue;
    const files = await Promise.all(
      names
        .filter((name) => TYPES[extname(name)] !== undefined)
        .map(async (name): Promise<[string, Asset]> => {
          const bytes = new Uint8Array(await readFile(join(folder, name)));
          return [name, { type: TYPES[extname(name)] as string, bytes, isHashed: HASHED.test(name) }];
        }),
    );
    return new Map(files);
  }
  return new Map();
}

/** What is shown where nobody has built the page. */
export const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>tiercache</title>
<p>The page is not built. In the repository: <code>npm run build</code>. The API is there all the same: <code>api/overview</code>.</p>
`;

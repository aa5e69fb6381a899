import { createRequire } from "node:module";
import { CacheError } from "../errors.js";

/** The calls made on the one table of an environment of the package `lmdb` (3 or later). */
export interface LmdbDatabase {
  getBinary(key: Uint8Array): Uint8Array | undefined;
  /** Good until the next get. */
  getBinaryFast(key: Uint8Array): Uint8Array | undefined;
  /** In a transaction, at once. */
  put(key: Uint8Array, value: Uint8Array): unknown;
  remove(key: Uint8Array): unknown;
  getKeys(options: LmdbRange): Iterable<Uint8Array>;
  getRange(options: LmdbRange): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  /** What `action` throws undoes it. */
  transactionSync<T>(action: () => T): T;
  resetReadTxn(): void;
  /** A table of the processes that read, as text. */
  readerList(): string;
  readerCheck(): number;
  /** Writes all of it to the disk. */
  sync(callback: (error?: unknown) => void): unknown;
  close(): Promise<void>;
}

export interface LmdbRange {
  readonly start?: Uint8Array | undefined;
  readonly end?: Uint8Array | undefined;
  readonly limit?: number | undefined;
}

export interface LmdbPackage {
  open(options: {
    readonly path: string;
    readonly mapSize: number;
    readonly noSync: boolean;
    readonly overlappingSync: boolean;
    readonly keyEncoding: "binary";
    readonly encoding: "binary";
  }): LmdbDatabase;
}

/** @throws CacheError `ERR_CACHE_OPTION` when it is not installed, or not for this machine. */
export function loadLmdb(): LmdbPackage {
  try {
    return createRequire(import.meta.url)("lmdb") as LmdbPackage;
  } catch (cause) {
    throw new CacheError("ERR_CACHE_OPTION", "lmdb() needs the package `lmdb` (3 or later): npm i lmdb", { cause });
  }
}

/** The table as steps see it: whatever is handed out is a copy. */
export class Table {
  readonly #database: LmdbDatabase;

  constructor(database: LmdbDatabase) {
    this.#database = database;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const bytes = this.#database.getBinary(key);
    // The package's own kind of buffer has a length that may not be its own.
    return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** What `look` makes of the bytes, which are gone when it returns. */
  glance<T>(key: Uint8Array, look: (bytes: Uint8Array) => T): T | undefined {
    const bytes = this.#database.getBinaryFast(key);
    return bytes && look(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#database.put(key, value);
  }

  remove(key: Uint8Array): void {
    this.#database.remove(key);
  }

  /** Some keys in order, taken before anything is changed. */
  keys(range: LmdbRange): readonly Uint8Array[] {
    return Array.from(this.#database.getKeys(range));
  }

  items(range: LmdbRange): readonly { readonly key: Uint8Array; readonly value: Uint8Array }[] {
    return Array.from(this.#database.getRange(range));
  }

  /** Keys in a row from a random place among all of a kind. */
  sample(kind: number, count: number, random: () => number): readonly Uint8Array[] {
    const start = new Uint8Array(5);
    new DataView(start.buffer).setUint32(1, Math.floor(random() * 2 ** 32));
    start[0] = kind;
    const end = Uint8Array.of(kind + 1);
    const found = this.keys({ start, end, limit: count });
    if (found.length === count) return found;
    // The end of the ring: on from its beginning, up to where it was entered.
    return [...found, ...this.keys({ start: Uint8Array.of(kind), end: start, limit: count - found.length })];
  }
}

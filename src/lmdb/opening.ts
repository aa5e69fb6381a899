import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import { bootId } from "./boot.js";
import { checkFile, readMeta } from "./file-check.js";
import { KIND, USAGE_KEY } from "./layout.js";
import { decodeUsage, encodeUsage, FORMAT, isSound } from "./records.js";
import { Table, type LmdbDatabase, type LmdbPackage } from "./table.js";

/**
 * Opens the file of the host tier, and only one that LMDB can be trusted with. For implementers:
 *
 * - LMDB maps the file and believes it. Pages that are not what they should be end the process (SIGSEGV, SIGBUS, an
 *   assertion), and so does in the package even an open that fails. So everything that could fail is tried before.
 * - Nothing is flushed while it runs (`noSync`): what a process wrote is safe from that process's death, because
 *   the kernel has it, but not from the machine's, after which pages of different ages may stand side by side with
 *   no sign of it. So a file is trusted as it is only when it was closed in order and nobody has touched it since:
 *   the note left then names its size, time and transaction. Not closed, but in the same boot of the machine, it is
 *   read through first (`file-check.ts`), unless others have it open: they prove more than a check. After another
 *   boot it is trusted only if it had been flushed when it was closed.
 * - What is not trusted is set aside, in one step with its lock file: `current` becomes `damaged`, replacing the last
 *   one. Processes that have it open find another file in its place (`size`) and open that.
 */
export interface OpenFile {
  readonly database: LmdbDatabase;
  readonly table: Table;
  readonly folder: string;
  readonly pageSize: number;
  /** Its bytes; `undefined` when others would open another file by now. */
  size(): number | undefined;
  /** @param flush whether the note of the end is left, and the file flushed for it */
  close(flush: boolean): Promise<void>;
}

export interface OpeningOptions {
  readonly path: string;
  readonly mapSize: number;
  readonly clock: Clock;
  readonly warn: (message: string) => void;
}

/** What the one who closed it last says of it. */
interface Note {
  readonly boot: string;
  readonly closed?: {
    readonly size: number;
    readonly time: number;
    readonly transaction: number;
    readonly flushed: boolean;
  };
}

type Verdict =
  | { readonly trust: "yes" }
  | { readonly trust: "after-check" }
  | { readonly trust: "no"; readonly why: string };

const TRIES = 3;
/** The longest a flush holds up closing; milliseconds. */
const FLUSH_LIMIT = 2_000;
const OTHER_BOOT = "the machine went down before it was closed";

/** @throws CacheError `ERR_CACHE_TIER` when no file can be had there */
export function openFile(lmdb: LmdbPackage, options: OpeningOptions): OpenFile {
  const folder = join(options.path, "current");
  for (let tries = 1; ; tries++) {
    try {
      const opened = tryOpen(lmdb, folder, options);
      if (typeof opened !== "string") return opened;
      if (tries === TRIES) throw new Error(opened);
      options.warn(`tiercache/lmdb: ${options.path} starts empty: ${opened}`);
      setAside(options.path);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new CacheError("ERR_CACHE_TIER", `The host tier cannot be opened at ${options.path}: ${why}`, { cause });
    }
  }
}

/** Moves what is there out of the way, with its lock file. Gone meanwhile, another process did it. */
export function setAside(path: string): void {
  const damaged = join(path, "damaged");
  rmSync(damaged, { recursive: true, force: true });
  try {
    renameSync(join(path, "current"), damaged);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** @returns why not, as text, when it is to be set aside */
function tryOpen(lmdb: LmdbPackage, folder: string, { mapSize, clock }: OpeningOptions): OpenFile | string {
  // What a cache holds is nobody else's.
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const data = join(folder, "data.mdb");
  const boot = bootId();
  const verdict = judge(folder, data, boot);
  if (verdict.trust === "no") return verdict.why;
  for (const path of [folder, data, join(folder, "lock.mdb")]) requireAccess(path, path === folder);
  // Before the file has anything in it that this boot wrote.
  writeNote(folder, { boot });
  const database = lmdb.open({
    path: folder,
    mapSize,
    noSync: true,
    overlappingSync: false,
    keyEncoding: "binary",
    encoding: "binary",
  });
  let why: string | undefined;
  try {
    why = verdict.trust === "after-check" && !hasOthers(database) ? checked(database, data) : undefined;
    why ??= prepared(database);
  } catch (error) {
    void database.close().catch(() => undefined); // the first error says more
    throw error;
  }
  if (why === undefined) return opened(database, folder, data, { boot, clock });
  void database.close().catch(() => undefined); // it is set aside, whatever closing finds
  return why;
}

function opened(
  database: LmdbDatabase,
  folder: string,
  data: string,
  { boot, clock }: { boot: string; clock: Clock },
): OpenFile {
  const stats = statSync(data);
  const meta = metaOf(data);
  return {
    database,
    table: new Table(database),
    folder,
    pageSize: typeof meta === "string" ? 4_096 : meta.pageSize,
    size() {
      const now = statSync(data, { throwIfNoEntry: false });
      return now?.ino === stats.ino ? now.size : undefined;
    },
    async close(flush) {
      const before = flush ? noteOf(data, stats.ino) : undefined;
      const flushed = flush && (await flushWithin(database, clock));
      const after = flush ? noteOf(data, stats.ino) : undefined;
      await database.close();
      if (after === undefined) return;
      // What another process wrote meanwhile may not be on the disk; what it writes from now on makes the note void.
      const isFlushed = flushed && before?.transaction === after.transaction;
      const { size, mtimeMs: time } = after.stats;
      writeNote(folder, { boot, closed: { size, time, transaction: after.transaction, flushed: isFlushed } });
    },
  };
}

/** What there is to note at the end; nothing when the file is not there any more, or is another one. */
function noteOf(data: string, inode: number): { stats: Stats; transaction: number } | undefined {
  try {
    return withFile(data, (file, stats) => {
      const meta = readMeta(file, stats.size);
      return typeof meta === "string" || stats.ino !== inode ? undefined : { stats, transaction: meta.transaction };
    });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function judge(folder: string, data: string, boot: string): Verdict {
  const stats = statSync(data, { throwIfNoEntry: false });
  if (stats === undefined || stats.size === 0) return { trust: "yes" };
  if (!stats.isFile()) return { trust: "no", why: "it is no file" };
  const meta = metaOf(data);
  if (typeof meta === "string") return { trust: "no", why: meta };
  const note = readNote(folder);
  const { closed } = note ?? {};
  const isUntouched =
    closed !== undefined &&
    closed.size === stats.size &&
    closed.time === stats.mtimeMs &&
    closed.transaction === meta.transaction;
  if (note?.boot === boot) return isUntouched ? { trust: "yes" } : { trust: "after-check" };
  return isUntouched && closed.flushed ? { trust: "yes" } : { trust: "no", why: OTHER_BOOT };
}

function metaOf(data: string): ReturnType<typeof readMeta> {
  return withFile(data, (file, stats) => readMeta(file, stats.size));
}

function checked(database: LmdbDatabase, data: string): string | undefined {
  // In a transaction that writes: nobody else changes it meanwhile. Nothing is read through LMDB.
  return database.transactionSync(() =>
    withFile(data, (file, stats) =>
      checkFile(file, stats.size, (key, seen, size) => {
        if (!isSound(key, seen, key[0] === KIND.entry, size)) throw new Error("a checksum does not fit");
      }),
    ),
  );
}

function prepared(database: LmdbDatabase): string | undefined {
  const table = new Table(database);
  const why = database.transactionSync(() => {
    const usage = table.get(USAGE_KEY);
    try {
      if (usage !== undefined) decodeUsage(USAGE_KEY, usage);
    } catch {
      return `it is not of format ${FORMAT}`;
    }
    if (usage !== undefined) return undefined;
    if (table.keys({ limit: 1 }).length > 0) return "it holds something else";
    table.put(USAGE_KEY, encodeUsage(USAGE_KEY, { bytes: 0, entries: 0 }));
    return undefined;
  });
  // The first read outside: from now on others see that this process has it open.
  table.get(USAGE_KEY);
  database.resetReadTxn();
  return why;
}

/** Whether another living process has read it. */
function hasOthers(database: LmdbDatabase): boolean {
  database.readerCheck();
  const pids = database
    .readerList()
    .split("\n")
    .map((line) => Number(/^\s*(\d+)\s/.exec(line)?.[1]));
  return pids.some((pid) => pid > 0 && pid !== process.pid);
}

function flushWithin(database: LmdbDatabase, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(FLUSH_LIMIT, () => resolve(false), true);
    database.sync((error) => {
      timer.cancel();
      resolve(error === undefined || error === null);
    });
  });
}

function withFile<T>(path: string, use: (file: number, stats: Stats) => T): T {
  const file = openSync(path, "r");
  try {
    return use(file, fstatSync(file));
  } finally {
    closeSync(file);
  }
}

/** The lock file is only looked at: to open and close it would give up the locks this process may hold on it. */
function requireAccess(path: string, isFolder: boolean): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isDirectory() !== isFolder) throw new Error(`${path} is of the wrong kind`);
  accessSync(path, constants.R_OK | constants.W_OK);
}

function readNote(folder: string): Note | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "note.json"), "utf8")) as Note;
  } catch {
    // Missing, or written by halves: it vouches for nothing.
    return undefined;
  }
}

function writeNote(folder: string, note: Note): void {
  const path = join(folder, "note.json");
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(note));
  renameSync(`${path}.${process.pid}`, path);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

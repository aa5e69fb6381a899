import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { systemClock, type Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import { toBytes } from "../tiers/memory/limits.js";
import type { Journal, JournalLog } from "../write/journal.js";
import { LogSteps } from "./journal-log.js";
import { decodeJson, encodeJson, FORMAT_KEY } from "./journal-records.js";
import { loadLmdb, Table, type LmdbDatabase } from "./table.js";

export interface LmdbJournalOptions {
  /** A folder of this machine's own disk, made if need be, for journals only; every process that names it shares them. */
  readonly path: string;
  /** Most bytes of what waits in one log, as a number or "1gb"; the file becomes somewhat larger. @default "1gb" */
  readonly maxBytes?: number | string | undefined;
  /** @default the machine's */
  readonly clock?: Clock | undefined;
}

/** What each option is when it is not given. */
export const LMDB_JOURNAL_DEFAULTS: { maxBytes: string } = { maxBytes: "1gb" };

const FORMAT = 1;
/** The most bytes of the file, by those of a log. */
const FILE_FACTOR = 4;
const FILE_MINIMUM = 64 * 1_024 * 1_024;

/** A file, opened once in a process however many logs are in it. */
interface OpenFile {
  readonly database: LmdbDatabase;
  readonly table: Table;
  users: number;
}

/**
 * A journal of write-behind in a file, for the processes of one machine. An append is acknowledged when it is on the disk
 * (`fsync`): it survives the process and the machine, as far as the disk keeps what it says it has. Each step holds
 * up its process while the disk writes; what is appended in one turn is one step.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for an option out of its range, or when the package `lmdb` is not installed.
 */
export function lmdbJournal(options: LmdbJournalOptions): Journal {
  const path: unknown = options.path;
  if (typeof path !== "string" || path === "") {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`path\` to be the path of a folder, got \`${String(path)}\``);
  }
  const maxBytes = toBytes(options.maxBytes ?? LMDB_JOURNAL_DEFAULTS.maxBytes, "maxBytes");
  const lmdb = loadLmdb();
  const clock = options.clock ?? systemClock;
  const folder = resolve(path);
  let file: OpenFile | undefined;

  const open = (): OpenFile => {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      // Every commit is flushed before it is acknowledged: what may be lost here is nowhere else.
      const database = lmdb.open({
        path: folder,
        mapSize: maxBytes * FILE_FACTOR + FILE_MINIMUM,
        noSync: false,
        overlappingSync: false,
        keyEncoding: "binary",
        encoding: "binary",
      });
      const opened = { database, table: new Table(database), users: 0 };
      database.transactionSync(() => requireFormat(opened.table));
      return opened;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new CacheError("ERR_CACHE_TIER", `The journal cannot be opened at ${folder}: ${why}`, { cause });
    }
  };

  return {
    kind: "lmdb",
    open(name): JournalLog {
      file ??= open();
      const own = file;
      own.users += 1;
      return logIn(own, new LogSteps(own.table, name, clock, maxBytes), async () => {
        own.users -= 1;
        if (own.users > 0) return;
        file = undefined;
        await own.database.close();
      });
    },
  };
}

function logIn({ database }: OpenFile, steps: LogSteps, release: () => Promise<void>): JournalLog {
  let closed: Promise<void> | undefined;
  const checkOpen = (): void => {
    if (closed !== undefined) throw new CacheError("ERR_CACHE_CLOSED", "The journal was closed");
  };
  const write = async <T>(step: () => T): Promise<T> => {
    checkOpen();
    return told(() => database.transactionSync(step));
  };
  const read = async <T>(step: () => T): Promise<T> => {
    checkOpen();
    // What is read next is of that moment.
    return told(() => {
      try {
        return step();
      } finally {
        database.resetReadTxn();
      }
    });
  };
  return {
    append: (operations, limit) => write(() => steps.append(operations, limit)),
    pending: (keys) => write(() => steps.pending(keys)),
    seal: (request) => write(() => steps.seal(request)),
    settle: (settlement) => write(() => steps.settle(settlement)),
    state: () => read(() => steps.state()),
    letters: {
      list: (limit) => read(() => steps.letters(limit)),
      discard: (opIds) => write(() => steps.discard(opIds)),
    },
    close() {
      closed ??= release();
      return closed;
    },
  };
}

/** What a step throws undid it. */
function told<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CacheError("ERR_CACHE_TIER", `The journal's file refused a step: ${why}`, { cause });
  }
}

function requireFormat(table: Table): void {
  const bytes = table.get(FORMAT_KEY);
  if (bytes === undefined) {
    if (table.keys({ limit: 1 }).length > 0) throw new Error("it holds something else");
    table.put(FORMAT_KEY, encodeJson(FORMAT_KEY, FORMAT));
    return;
  }
  const format = decodeJson<unknown>(FORMAT_KEY, bytes);
  if (format !== FORMAT) throw new Error(`format ${String(format)} is not known here`);
}

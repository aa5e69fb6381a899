import { systemClock, type Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type {
  Appended,
  Journal,
  JournalLog,
  JournalOperation,
  PendingRead,
  SealedBatch,
  SealRequest,
  Settlement,
  StoredLetter,
  StoredOperation,
} from "../write/journal.js";

interface Entry extends StoredOperation {
  readonly position: number;
}

interface Log {
  last: number;
  entries: Entry[];
  letters: StoredLetter[];
  /** Of the newest operations, as far back as they are told apart. */
  opIds: string[];
  generation: string | undefined;
  seq: number;
  settled: string | undefined;
  sealed: { readonly batchId: string; readonly upTo: number } | undefined;
}

/** A call of a journal, as a schedule is told of it. */
export interface JournalCall {
  readonly name: string;
  readonly method: "append" | "pending" | "seal" | "settle" | "state" | "letters";
  /** `before` it is done, or `after`, when only its answer can be lost. */
  readonly when: "before" | "after";
}

export interface MemoryJournalOptions {
  /** @default the machine's */
  readonly clock?: Clock | undefined;
  /** How many ids of operations are remembered. @default 100000 */
  readonly remembered?: number | undefined;
}

/**
 * A journal in the memory of a test: the server of any number of processes, each with a `journal()` of its own. It can be
 * set back to what it was, as a server is by a restart from an older file.
 */
export class MemoryJournal {
  readonly #clock: Clock;
  readonly #remembered: number;
  #logs = new Map<string, Log>();

  constructor(options: MemoryJournalOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#remembered = options.remembered ?? 100_000;
  }

  /** @param schedule called before and after each call; what it throws the caller gets, what it awaits holds up the call */
  journal(schedule: (call: JournalCall) => void | Promise<void> = () => undefined): Journal {
    return {
      kind: "memory",
      open: (name) => {
        if (typeof name !== "string" || name === "") {
          throw new CacheError("ERR_CACHE_OPTION", "Expected `name` to be text that is not empty");
        }
        return this.#open(async (method, run) => {
          await schedule({ name, method, when: "before" });
          const result = run(this.#logOf(name));
          await schedule({ name, method, when: "after" });
          return result;
        });
      },
    };
  }

  /** What it holds now; `restore` brings it back. */
  snapshot(): () => void {
    const saved = structuredClone(this.#logs);
    return () => {
      this.#logs = structuredClone(saved);
    };
  }

  /** Ids of the operations in a log, and of its letters. */
  opIds(name: string): { readonly pending: readonly string[]; readonly letters: readonly string[] } {
    const { entries, letters } = this.#logOf(name);
    return { pending: entries.map(({ opId }) => opId), letters: letters.map(({ opId }) => opId) };
  }

  #logOf(name: string): Log {
    let log = this.#logs.get(name);
    if (log === undefined) {
      const nothing = { generation: undefined, settled: undefined, sealed: undefined };
      log = { last: 0, entries: [], letters: [], opIds: [], seq: 0, ...nothing };
      this.#logs.set(name, log);
    }
    return log;
  }

  #open(step: <T>(method: JournalCall["method"], run: (log: Log) => T) => Promise<T>): JournalLog {
    return {
      append: (operations, limit) => step("append", (log) => this.#append(log, operations, limit)),
      pending: (keys) => step("pending", (log) => pendingIn(log, keys)),
      seal: (request) => step("seal", (log) => sealIn(log, request)),
      settle: (settlement) => step("settle", (log) => settleIn(log, settlement)),
      state: () =>
        step("state", ({ entries, letters }) => {
          const [oldest] = entries;
          const age = oldest === undefined ? 0 : Math.max(0, this.#clock.wall() - oldest.at);
          return { depth: entries.length, oldest: age, dead: letters.length };
        }),
      letters: {
        list: (limit) => step("letters", ({ letters }) => letters.slice(0, limit)),
        discard: (opIds) =>
          step("letters", (log) => {
            const before = log.letters.length;
            log.letters = log.letters.filter(({ opId }) => !opIds.includes(opId));
            return before - log.letters.length;
          }),
      },
      close: () => Promise.resolve(),
    };
  }

  #append(log: Log, operations: readonly JournalOperation[], limit: number): Appended {
    let added = 0;
    for (const operation of operations) {
      if (!log.opIds.includes(operation.opId)) {
        if (log.entries.length + log.letters.length >= limit) break;
        log.last += 1;
        log.entries.push({ ...operation, body: operation.body.slice(), position: log.last, at: this.#clock.wall() });
        log.opIds.push(operation.opId);
        if (log.opIds.length > this.#remembered) log.opIds.shift();
      }
      added += 1;
    }
    return { added, depth: log.entries.length + log.letters.length };
  }
}

function pendingIn({ entries, sealed, settled }: Log, keys: readonly string[]): PendingRead {
  return {
    sealed: sealed?.batchId,
    settled,
    keys: keys.map((key) => {
      const own = entries.filter((entry) => entry.key === key);
      const newest = own.findLastIndex(({ whole }) => whole);
      const sumOf = (some: readonly Entry[]): number => some.reduce((total, { by }) => total + by, 0);
      return {
        bodies: own
          .slice(Math.max(0, newest))
          .filter(({ by }) => by === 0)
          .map(({ body }) => body),
        sum: sumOf(own),
        sealedSum: sumOf(own.filter(({ position }) => position <= (sealed?.upTo ?? 0))),
      };
    }),
  };
}

function sealIn(log: Log, { batchId, generation, most, mostBytes }: SealRequest): SealedBatch | undefined {
  if (log.sealed === undefined) {
    let bytes = 0;
    const fits = log.entries.findIndex(({ body }, index) => {
      bytes += body.length;
      return index === most || (index > 0 && bytes > mostBytes);
    });
    const last = fits < 0 ? log.entries.at(-1) : log.entries[fits - 1];
    if (last === undefined) return undefined;
    log.sealed = { batchId, upTo: last.position };
    log.generation ??= generation;
  }
  const { upTo, batchId: sealed } = log.sealed;
  return {
    batchId: sealed,
    generation: log.generation ?? generation,
    seq: log.seq + 1,
    operations: log.entries.filter(({ position }) => position <= upTo),
  };
}

function settleIn(log: Log, { batchId, generation, seq, rejected }: Settlement): boolean {
  if (log.sealed?.batchId !== batchId) return false;
  const { upTo } = log.sealed;
  const reasons = new Map(rejected.map(({ opId, reason }) => [opId, reason]));
  for (const entry of log.entries) {
    const reason = entry.position <= upTo ? reasons.get(entry.opId) : undefined;
    if (reason !== undefined) log.letters.push({ ...entry, reason });
  }
  log.entries = log.entries.filter(({ position }) => position > upTo);
  Object.assign(log, { generation, seq, settled: batchId, sealed: undefined });
  return true;
}

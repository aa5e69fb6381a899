import { randomBytes } from "node:crypto";
import type { Lock } from "../api.js";
import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { CacheEvent } from "../events.js";
import { Appender } from "./appender.js";
import type { Behinds } from "./behinds.js";
import type { ResolvedFlush } from "./behind-options.js";
import { Flusher } from "./flusher.js";
import type { JournalLog, PendingRead, StoredLetter } from "./journal.js";
import { decodeOperation, encodeOperation, type Operation } from "./operation.js";
import type { Change, RowId, Sink } from "./sink.js";
import { within } from "./within.js";

/** What a lane needs of its cache. */
export interface LaneHome {
  /** The cache's name, its namespace included. */
  readonly cacheName: string;
  readonly clock: Clock;
  readonly emit: (event: CacheEvent) => void;
  readonly lock: (name: string, wait: number) => Promise<Lock>;
  readonly behinds: Behinds;
}

/** A write-behind, or a counter, as `cache.stats()` tells of it. */
export interface WriteBehindStats {
  readonly name: string;
  /** Operations in the journal, of all processes, as last heard. */
  readonly depth: number;
  /** Milliseconds since the oldest of them was appended, likewise. */
  readonly oldest: number;
  /** Dead letters, likewise. */
  readonly dead: number;
  /** Operations of this process that the journal acknowledged. */
  readonly appended: number;
  /** Operations that this process flushed. */
  readonly flushed: number;
  /** Flushes of this process that failed. */
  readonly failures: number;
}

/** An operation that the source refused. */
export interface DeadLetter {
  readonly opId: string;
  readonly id: RowId;
  /** `unknown` when the operation cannot be read. */
  readonly kind: Change["kind"] | "unknown";
  readonly value: unknown;
  /** Of an increment. */
  readonly by: number;
  readonly base: number | undefined;
  /** Why the source refused it. */
  readonly reason: string;
  /** When it was written: milliseconds since the epoch. */
  readonly at: number;
}

/** What the source refused, until somebody has dealt with it. */
export interface DeadLetters {
  /** The oldest first. @param limit 100 if not given */
  list(limit?: number): Promise<readonly DeadLetter[]>;
  /** Appends it again, as the newest operation on its row. @returns whether it was there */
  retry(opId: string): Promise<boolean>;
  /** Forgets it. @returns whether it was there */
  discard(opId: string): Promise<boolean>;
}

/** How many letters `retry` looks through. */
const MOST_LETTERS = 100_000;
const ID_BYTES = 12;
const MAX_ID = 200;

/** One log with what leads into it and out of it. */
export class Lane {
  readonly name: string;
  readonly clock: Clock;
  readonly log: JournalLog;
  readonly letters: DeadLetters;
  readonly #settings: ResolvedFlush;
  readonly #appender: Appender;
  readonly #flusher: Flusher;
  #appended = 0;
  #flushed = 0;
  #failures = 0;
  #closed: Promise<void> | undefined;

  /** @param onCorrected hears of rows that are not what the log said */
  constructor(
    home: LaneHome,
    settings: ResolvedFlush,
    sink: Sink,
    onCorrected: (ids: readonly RowId[]) => Promise<void> = () => Promise.resolve(),
  ) {
    const { clock } = home;
    this.clock = clock;
    this.name = `${home.cacheName}.${settings.name}`;
    this.#settings = settings;
    home.behinds.add(this);
    this.log = settings.journal.open(this.name);
    const { log } = this;
    const emit = (event: CacheEvent): void => {
      if (event.type === "flushed") this.#flushed += event.operations;
      else if (event.type === "flush-failed") this.#failures += 1;
      home.emit(event);
    };
    this.#flusher = new Flusher({
      log,
      sink,
      clock,
      settings: { ...settings, name: this.name, maxBatchBytes: MAX_BATCH_BYTES },
      lock: (wait) => home.lock(settings.name, wait),
      newId: newOpId,
      emit,
      onCorrected,
    });
    this.#appender = new Appender({
      log,
      clock,
      settings: { ...settings, name: this.name },
      flush: () => this.#flusher.flush(),
      onAppended: (depth) => this.#flusher.appended(depth),
    });
    this.letters = this.#deadLetters();
  }

  /** @throws CacheError, see `Appender.append`; `ERR_CACHE_VALUE` for a value that cannot be stored or is too large. */
  async append(
    key: string,
    by: number,
    operation: Operation,
    opId: string | undefined,
    mostBytes: number = MAX_BATCH_BYTES,
  ): Promise<string> {
    this.checkOpen();
    const body = encodeOperation(operation);
    if (body.length > mostBytes) {
      throw new CacheError(
        "ERR_CACHE_VALUE",
        `Expected an operation of at most ${mostBytes} bytes, got ${body.length}`,
      );
    }
    const id = opId ?? newOpId();
    checkOpId(id);
    const whole = operation.kind === "put" || operation.kind === "delete";
    await this.#appender.append({ opId: id, key, whole, by, body });
    this.#appended += 1;
    return id;
  }

  async pending(key: string): Promise<PendingRead & { readonly own: PendingRead["keys"][number] }> {
    this.checkOpen();
    const read = await within(
      this.clock,
      this.#settings.timeout,
      `The journal of ${this.name}`,
      this.log.pending([key]),
    );
    const [own] = read.keys;
    if (own === undefined)
      throw new CacheError("ERR_CACHE_TIER", `The journal of ${this.name} did not answer for a key`);
    return { ...read, own };
  }

  async flush(): Promise<void> {
    this.checkOpen();
    await this.#flusher.flush();
  }

  /** What was last heard; `ask` first asks the journal. */
  async look(): Promise<WriteBehindStats> {
    this.checkOpen();
    await this.#flusher.look();
    return this.stats();
  }

  stats(): WriteBehindStats {
    return {
      name: this.name,
      ...this.#flusher.state,
      appended: this.#appended,
      flushed: this.#flushed,
      failures: this.#failures,
    };
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Flushes once more, if that goes in time: what is left is in the journal, for others or the next start. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  checkOpen(): void {
    if (this.#closed !== undefined) throw new CacheError("ERR_CACHE_CLOSED", `The write-behind ${this.name} is closed`);
  }

  async #close(): Promise<void> {
    const { patience } = this.#settings;
    // What still waits for room gets it by the first.
    const last = Promise.all([this.#appender.ended(), this.#flusher.flush()]).then(() => this.#flusher.flush());
    // What the flush has to say was told by an event.
    await within(this.clock, patience, "The last flush", last).catch(() => undefined);
    await within(this.clock, patience, "The last flush", this.#flusher.close()).catch(() => undefined);
    await this.log.close();
  }

  #deadLetters(): DeadLetters {
    const { letters } = this.log;
    const find = async (opId: string): Promise<StoredLetter | undefined> =>
      (await letters.list(MOST_LETTERS)).find((letter) => letter.opId === opId);
    return {
      list: async (limit = 100) => {
        this.checkOpen();
        return (await letters.list(limit)).map(letterOf);
      },
      retry: async (opId) => {
        this.checkOpen();
        const letter = await find(opId);
        if (letter === undefined) return false;
        const { key, whole, by, body } = letter;
        // The same id each time, so one that is retried twice is appended once.
        await this.#appender.append({ opId: retriedId(opId), key, whole, by, body });
        return (await letters.discard([opId])) > 0;
      },
      discard: async (opId) => {
        this.checkOpen();
        return (await letters.discard([opId])) > 0;
      },
    };
  }
}

/** Bytes of one batch, at most, beyond its first operation. */
const MAX_BATCH_BYTES = 8 << 20;

function newOpId(): string {
  return randomBytes(ID_BYTES).toString("base64url");
}

function retriedId(opId: string): string {
  const [, first = opId, times = "0"] = /^(.*)~(\d+)$/s.exec(opId) ?? [];
  return `${first}~${Number(times) + 1}`;
}

function checkOpId(opId: unknown): void {
  if (typeof opId === "string" && opId !== "" && opId.length <= MAX_ID && !/[\0-\x20]/.test(opId)) return;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`opId\` to be text of 1 to ${MAX_ID} characters without spaces, got \`${String(opId).slice(0, 60)}\``,
  );
}

function letterOf({ opId, key, by, body, reason, at }: StoredLetter): DeadLetter {
  try {
    const { kind, id, value, base } = decodeOperation(body);
    return { opId, id, kind, value, by, base, reason, at };
  } catch {
    // That is why it is here.
    return { opId, id: key, kind: "unknown", value: undefined, by, base: undefined, reason, at };
  }
}

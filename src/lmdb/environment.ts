import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import { Bell } from "./bell.js";
import { Entries } from "./entries.js";
import { Layout } from "./layout.js";
import { Ledger, type LedgerBounds } from "./ledger.js";
import { microseconds } from "./micros.js";
import { openFile, setAside, type OpenFile } from "./opening.js";
import { Room } from "./room.js";
import { Queue, Turnstile } from "./turnstile.js";
import type { LmdbPackage } from "./table.js";

export interface EnvironmentOptions extends LedgerBounds {
  readonly path: string;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly warn: (message: string) => void;
}

/** An open file, and what this process knows of it. */
interface Opened {
  readonly file: OpenFile;
  readonly bell: Bell;
  readonly turnstile: Turnstile;
  readonly entries: Entries;
  readonly rooms: Map<string, Room>;
}

/**
 * The most bytes of the file, by those of its entries. It comes to two or three times these, and the log and the marks.
 * More it becomes only when a process stands still while it reads: what that sees may not be written over.
 */
const FILE_FACTOR = 8;
const FILE_MINIMUM = 256 * 1_024 * 1_024;
/** How long reads go on without looking whether the file is still the current one; milliseconds. */
const LOOK_EVERY = 10;
/** How long to wait after the file could not be opened; milliseconds. */
const TRY_AGAIN = 1_000;
/** What is left of the entries' bytes when the disk is full, at most. */
const SHRINK = 0.9;

const MAP_FULL = new Set<unknown>([-30_792, -30_788, 28]);
const DAMAGED = new Set<unknown>([-30_797, -30_796, -30_793]);
const TO_REOPEN = new Set<unknown>([-30_795, -30_785, -30_782]);
const READERS_FULL = -30_790;

/**
 * The environment at a path: opened when it is first used, shared by all caches of a factory, opened anew when its
 * file was set aside or removed. Every step is one transaction, and there is nothing to wait for in one: another
 * process's takes microseconds.
 */
export class Environment {
  readonly #lmdb: LmdbPackage;
  readonly #options: EnvironmentOptions;
  readonly #micros: () => number;
  readonly #highest = new Map<string, number>();
  readonly #queue: Queue;
  #opened: Opened | undefined;
  #users = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #failure: { readonly at: number; readonly error: unknown } | undefined;
  /** Called when another file was opened, and when there is something to hear. */
  #onChange: (() => void) | undefined;

  constructor(lmdb: LmdbPackage, options: EnvironmentOptions) {
    this.#lmdb = lmdb;
    this.#options = options;
    this.#micros = microseconds(options.clock);
    this.#queue = new Queue(options.clock, () => this.#opened?.turnstile);
  }

  /** Counts another user, and opens the file if it can: if not, that is tried again with each use. */
  use(): void {
    this.#users += 1;
    try {
      this.#current(true);
    } catch (error) {
      this.#options.warn(messageOf(error));
    }
  }

  /** The last user closes the file. */
  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0) await this.#close(true);
  }

  /** The file of now; another object when it is another file. */
  get file(): object | undefined {
    return this.#opened?.file;
  }

  read<T>(cacheName: string, step: (room: Room) => T): T {
    return this.#run(false, (opened) => {
      try {
        return step(this.#room(opened, cacheName));
      } finally {
        // What is read next is of that moment, and a snapshot that is kept keeps its pages from being used again.
        opened.file.database.resetReadTxn();
      }
    });
  }

  /** @param beforeWaiting takes what the step needs and its caller may change, should it have to wait */
  write<T>(cacheName: string, step: (room: Room) => T, beforeWaiting?: () => void): Promise<T> {
    return this.#queue.add(() => this.#writeNow(cacheName, step), beforeWaiting);
  }

  #writeNow<T>(cacheName: string, step: (room: Room) => T): T {
    const { result, opened, rang } = this.#run(true, (opened) => {
      const room = this.#room(opened, cacheName);
      const result = opened.turnstile.pass(() =>
        opened.file.database.transactionSync(() => {
          opened.entries.begin();
          const value = step(room);
          opened.entries.finish();
          return value;
        }),
      );
      return { result, opened, rang: room.ledger.takeNews() };
    });
    if (rang) {
      opened.bell.ring();
      this.#onChange?.();
    }
    return result;
  }

  /** Hears that there may be something new, from this process or another; `undefined` to hear no more. */
  listen(onChange: (() => void) | undefined): void {
    this.#onChange = onChange;
    if (onChange === undefined) this.#opened?.bell.silence();
    else this.#opened?.bell.listen(onChange);
  }

  #room({ rooms, file, entries }: Opened, cacheName: string): Room {
    let room = rooms.get(cacheName);
    if (room === undefined) {
      const { clock, random } = this.#options;
      const layout = new Layout(cacheName);
      const highest = this.#highest.get(cacheName) ?? 0;
      const ledger = new Ledger(file.table, layout, this.#options, this.#micros, highest);
      room = new Room(file.table, layout, { ledger, entries, clock, random });
      rooms.set(cacheName, room);
    }
    return room;
  }

  #run<T>(writes: boolean, step: (opened: Opened) => T): T {
    const opened = this.#current(writes);
    try {
      return step(opened);
    } catch (error) {
      // The transaction was undone. What was wrong with the file can be mended, once.
      if (!this.#mend(opened, error)) throw asTierError(error);
    }
    try {
      return step(this.#current(true));
    } catch (error) {
      throw asTierError(error);
    }
  }

  /** Whether it is worth another try. */
  #mend(opened: Opened, error: unknown): boolean {
    const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === READERS_FULL) return opened.file.database.readerCheck() > 0;
    if (MAP_FULL.has(code)) return this.#shrink(opened);
    const isDamaged = DAMAGED.has(code) || code === "ERR_CACHE_CORRUPT";
    if (!isDamaged && !TO_REOPEN.has(code)) return false;
    if (isDamaged && opened.file.size() !== undefined) this.#startEmpty(messageOf(error));
    void this.#close(false).catch(() => undefined); // whatever is wrong with it, it is not used any more
    return true;
  }

  #shrink({ file, entries }: Opened): boolean {
    try {
      return file.database.transactionSync(() => {
        entries.begin();
        const { bytes } = entries.usage();
        entries.evictDownTo(bytes * SHRINK);
        entries.finish();
        return entries.usage().bytes < bytes;
      });
    } catch {
      // Not even room for that: the first error is the one to tell.
      return false;
    }
  }

  #current(writes: boolean): Opened {
    if (this.#users === 0) throw new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed");
    const now = this.#options.clock.now();
    if (this.#opened !== undefined) {
      if (!writes && now - this.#lookedAt < LOOK_EVERY) return this.#opened;
      this.#lookedAt = now;
      const size = this.#opened.file.size();
      if (size !== undefined && size <= mostBytes(this.#options.maxBytes)) return this.#opened;
      if (size !== undefined) this.#startEmpty(`it grew to ${size} bytes: a process stands still while it reads`);
      void this.#close(false).catch(() => undefined); // it is nobody's any more
    }
    if (this.#failure !== undefined && now - this.#failure.at < TRY_AGAIN) throw this.#failure.error;
    try {
      this.#opened = this.#open();
      this.#failure = undefined;
      return this.#opened;
    } catch (error) {
      this.#failure = { at: now, error };
      throw error;
    }
  }

  #startEmpty(why: string): void {
    this.#options.warn(`tiercache/lmdb: ${this.#options.path} starts empty: ${why}`);
    setAside(this.#options.path);
  }

  #open(): Opened {
    const { path, maxBytes, clock, random, warn } = this.#options;
    const file = openFile(this.#lmdb, { path, mapSize: mostBytes(maxBytes), clock, warn });
    const bell = new Bell(file.folder);
    if (this.#onChange !== undefined) {
      bell.listen(this.#onChange);
      this.#onChange();
    }
    const entries = new Entries(file.table, { clock, random, maxBytes, pageSize: file.pageSize });
    return { file, bell, turnstile: new Turnstile(file.folder), entries, rooms: new Map() };
  }

  async #close(inOrder: boolean): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return;
    for (const [cacheName, { ledger }] of opened.rooms) this.#highest.set(cacheName, ledger.highest);
    opened.bell.close();
    opened.turnstile.close();
    await opened.file.close(inOrder);
  }
}

function mostBytes(maxBytes: number): number {
  return Math.ceil(maxBytes * FILE_FACTOR + FILE_MINIMUM);
}

function asTierError(error: unknown): CacheError {
  if (error instanceof CacheError && error.code !== "ERR_CACHE_CORRUPT") return error;
  return new CacheError("ERR_CACHE_TIER", `The host tier failed: ${messageOf(error)}`, { cause: error });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";

/** Processes are told apart by their ids, modulo this; two that share a slot know a little less of one another. */
const SLOTS = 64;
/** An id and the number of the turn, 4 bytes each. */
const SLOT = 8;
/** How soon to look again, and how long to wait for a process that stands still; milliseconds. */
const LOOK_AGAIN = 1;
const PATIENCE = 250;
const FREE = new Uint32Array(SLOT / 4);

/**
 * A small file in which each process writes its id while it is in a transaction. LMDB's own lock is waited for by the
 * thread that wants it, which here is the event loop: a process stopped or frozen in a transaction would take every
 * other one with it. So who sees another's id waits outside, until it is gone or has moved on, and can give up. Two
 * that look at the same moment still meet in LMDB, for the microseconds that a transaction takes.
 */
export class Turnstile {
  readonly #file: number;
  readonly #own: Uint32Array;
  readonly #slot: number;
  #slots = new Uint32Array((SLOTS * SLOT) / 4);

  constructor(folder: string, pid: number = process.pid) {
    // Made if it is not there, and never cut short: others may be in it.
    this.#file = openSync(join(folder, "writers"), constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#slot = pid % SLOTS;
    this.#own = Uint32Array.of(pid, 0);
  }

  /** Whether another process is in a transaction. */
  isTaken(): boolean {
    this.#slots.fill(0);
    readSync(this.#file, this.#slots, 0, this.#slots.byteLength, 0);
    for (let slot = 0; slot < SLOTS; slot++) if (this.#slots[slot * 2] !== 0 && slot !== this.#slot) return true;
    return false;
  }

  /** Who is in a transaction, to be compared with who is later. */
  takeDown(): Uint32Array {
    this.isTaken();
    return this.#slots.slice();
  }

  /** The id of a process that is still in the transaction in which it was `before`. */
  unmoved(before: Uint32Array): number | undefined {
    this.isTaken();
    for (let at = 0; at < before.length; at += 2) {
      const pid = before[at];
      const isSame = this.#slots[at] === pid && this.#slots[at + 1] === before[at + 1];
      if (pid !== 0 && isSame && at !== this.#slot * 2) return pid;
    }
    return undefined;
  }

  /** Does it in this process's turn. */
  pass<T>(act: () => T): T {
    this.#own[1] = (this.#own[1] ?? 0) + 1;
    this.#write(this.#own, this.#slot);
    try {
      return act();
    } finally {
      this.#write(FREE, this.#slot);
    }
  }

  /** A process that died in its turn: LMDB gives up its lock, and so does this. */
  clear(pid: number): void {
    this.#write(FREE, pid % SLOTS);
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(words: Uint32Array, slot: number): void {
    try {
      writeSync(this.#file, words, 0, SLOT, slot * SLOT);
    } catch {
      // A full disk: without it there is only less to go by.
    }
  }
}

interface Waiting {
  readonly run: () => void;
  readonly giveUp: (error: CacheError) => void;
}

/** Steps of this process that wait for another's, in the order they came. */
export class Queue {
  readonly #clock: Clock;
  readonly #turnstile: () => Turnstile | undefined;
  #waiting: Waiting[] = [];

  constructor(clock: Clock, turnstile: () => Turnstile | undefined) {
    this.#clock = clock;
    this.#turnstile = turnstile;
  }

  /**
   * Does it now, or when no other process stands in its way.
   *
   * @param beforeWaiting takes what may be changed meanwhile
   * @throws CacheError `ERR_CACHE_TIER` when one does for too long
   */
  async add<T>(act: () => T, beforeWaiting?: () => void): Promise<T> {
    const turnstile = this.#turnstile();
    if (this.#waiting.length === 0 && (turnstile === undefined || !turnstile.isTaken())) return act();
    beforeWaiting?.();
    return new Promise<T>((resolve, reject) => {
      const run = (): void => {
        try {
          resolve(act());
        } catch (error) {
          reject(error);
        }
      };
      this.#waiting.push({ run, giveUp: reject });
      if (this.#waiting.length === 1) this.#wait(turnstile?.takeDown(), this.#clock.now() + PATIENCE);
    });
  }

  #wait(before: Uint32Array | undefined, deadline: number): void {
    const look = (): void => {
      const turnstile = this.#turnstile();
      const pid = before && turnstile?.unmoved(before);
      if (pid === undefined) {
        for (const { run } of this.#takeAll()) run();
      } else if (!isAlive(pid)) {
        turnstile?.clear(pid);
        look();
      } else if (this.#clock.now() < deadline) {
        this.#clock.after(LOOK_AGAIN, look, true);
      } else {
        const error = new CacheError("ERR_CACHE_TIER", `Process ${pid} stands still while it writes to the host tier`);
        for (const { giveUp } of this.#takeAll()) giveUp(error);
      }
    };
    this.#clock.after(LOOK_AGAIN, look, true);
  }

  #takeAll(): readonly Waiting[] {
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's, which may not be asked, is alive.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

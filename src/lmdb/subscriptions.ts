import type { Clock, Timer } from "../clock.js";
import type { LogRecord } from "../invalidation/record.js";
import type { LogSignal } from "../tiers/shared.js";
import type { Environment } from "./environment.js";
import type { Room } from "./room.js";

type Listener = (signal: LogSignal) => void;

/** How far the listeners of one cache have heard. */
interface Heard {
  readonly listeners: Set<Listener>;
  position: number;
  settled: number;
}

interface News {
  readonly records: readonly LogRecord[];
  readonly settled: readonly string[];
  readonly position: number;
  readonly count: number;
  readonly more: boolean;
}

/** Records pushed in one turn of the event loop. */
const BATCH = 1_000;

/**
 * Tells the subscribers of an environment what was appended and which leases ended, whichever process did it: the bell
 * rings, this process looks. It looks by itself now and then as well, because not every bell is heard.
 */
export class Subscriptions {
  readonly #environment: Environment;
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #caches = new Map<string, Heard>();
  #timer: Timer | undefined;
  #file: object | undefined;
  #isDown = false;
  #isLooking = false;

  constructor(environment: Environment, clock: Clock, interval: number) {
    this.#environment = environment;
    this.#clock = clock;
    this.#interval = interval;
  }

  /** @returns ends it */
  add(cacheName: string, listener: Listener): () => void {
    const heard = this.#caches.get(cacheName) ?? { listeners: new Set(), ...this.#standing(cacheName) };
    // Those who listen already hear what came before, and only they.
    this.#lookAt(cacheName, heard);
    this.#caches.set(cacheName, heard);
    const own: Listener = (signal) => listener(signal);
    heard.listeners.add(own);
    if (this.#timer === undefined) this.#start();
    listener({ type: "up" });
    return () => {
      heard.listeners.delete(own);
      if (heard.listeners.size === 0 && this.#caches.get(cacheName) === heard) this.#caches.delete(cacheName);
      if (this.#caches.size === 0) this.#stop();
    };
  }

  #start(): void {
    this.#file = this.#environment.file;
    this.#environment.listen(() => this.#lookSoon());
    const look = (): void => {
      this.#timer = this.#clock.after(this.#interval, look);
      this.#look();
    };
    this.#timer = this.#clock.after(this.#interval, look);
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#environment.listen(undefined);
  }

  /** Not within the step that rang: its caller hears its answer first. */
  #lookSoon(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    queueMicrotask(() => {
      this.#isLooking = false;
      this.#look();
    });
  }

  #look(): void {
    try {
      for (const [cacheName, heard] of this.#caches) this.#lookAt(cacheName, heard);
    } catch {
      // The file cannot be had: every call of the tier says so, too.
      if (!this.#isDown) this.#tellAll({ type: "down" });
      this.#isDown = true;
      return;
    }
    if (this.#isDown) this.#tellAll({ type: "up" });
    this.#isDown = false;
  }

  #lookAt(cacheName: string, heard: Heard): void {
    const { records, settled, position, count, more } = this.#environment.read(cacheName, (room) =>
      newsOf(room, heard),
    );
    const { file } = this.#environment;
    if (file !== this.#file && this.#timer !== undefined) {
      // Another file, whose log has nothing to do with what was heard: the log itself must be asked.
      this.#file = file;
      this.#tellAll({ type: "down" });
      this.#tellAll({ type: "up" });
    }
    heard.position = position;
    heard.settled = count;
    for (const record of records) for (const listener of heard.listeners) listener({ type: "record", record });
    for (const key of settled) for (const listener of heard.listeners) listener({ type: "settled", key });
    if (more) this.#lookSoon();
  }

  #standing(cacheName: string): { position: number; settled: number } {
    const state = this.#environment.read(cacheName, (room) => room.ledger.state());
    return { position: state?.position ?? 0, settled: state?.settled ?? 0 };
  }

  #tellAll(signal: LogSignal): void {
    for (const { listeners } of this.#caches.values()) for (const listener of listeners) listener(signal);
  }
}

function newsOf({ ledger }: Room, heard: Heard): News {
  const state = ledger.state();
  if (state === undefined) return { records: [], settled: [], position: heard.position, count: 0, more: false };
  const records = state.position > heard.position ? ledger.recordsAfter(heard.position, BATCH) : [];
  const last = records.at(-1)?.position;
  const more = records.length === BATCH && last !== undefined && last < state.position;
  const from = state.settled < heard.settled ? 0 : heard.settled;
  const settled = state.settled > from ? ledger.settledAfter(from, state.settled) : [];
  return { records, settled, position: more ? last : state.position, count: state.settled, more };
}

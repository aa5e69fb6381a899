import type { Clock, Timer } from "../clock.js";

/** Taken when the module loads, so that a test runner's fake timers do not stop it. */
const nextTurn: (fn: () => void) => unknown = setImmediate;

/** Timers fired by one `advance` before it is taken for a loop that re-arms itself at once. */
const MAX_FIRED = 1_000_000;

interface Alarm {
  readonly deadline: number;
  readonly fn: () => void;
}

/**
 * A clock that moves only when told, for tests.
 *
 * `advance` is deterministic as long as what it wakes does no real input or output: timers fire one at a time, by
 * deadline and among equals in the order they were set, with `now()` at their deadline; before the first, after each and
 * at the end the event loop makes one whole turn, so every chain of promises, however long, has come to rest on
 * a timer before time moves on. Timers set meanwhile count, if they are due before the end.
 */
export class FakeClock implements Clock {
  #now: number;
  #wall: number;
  /** In the order they were set. */
  readonly #alarms = new Set<Alarm>();

  /** @param start milliseconds: `now` on the monotonic clock, `wall` since the epoch. */
  constructor(start: { readonly now?: number | undefined; readonly wall?: number | undefined } = {}) {
    this.#now = start.now ?? 1_000;
    this.#wall = start.wall ?? 1_700_000_000_000;
  }

  now(): number {
    return this.#now;
  }

  recent(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall;
  }

  after(ms: number, fn: () => void): Timer {
    const alarm = { deadline: this.#now + Math.max(0, ms), fn };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  /** Timers set, neither fired nor cancelled. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Moves both clocks by `ms`, firing what falls due. `advance(0)` fires what is due now. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + Math.max(0, ms);
    await turn();
    for (let fired = 0; ; fired++) {
      const alarm = this.#earliest(end);
      if (alarm === undefined) break;
      if (fired === MAX_FIRED)
        throw new Error(`${MAX_FIRED} timers fired in one advance: one of them sets itself again at once`);
      this.#alarms.delete(alarm);
      this.#moveTo(Math.max(this.#now, alarm.deadline));
      alarm.fn();
      await turn();
    }
    this.#moveTo(Math.max(this.#now, end));
  }

  /** Steps the wall clock, as NTP or an operator does; the monotonic one does not notice. */
  stepWall(ms: number): void {
    this.#wall += ms;
  }

  #moveTo(now: number): void {
    this.#wall += now - this.#now;
    this.#now = now;
  }

  #earliest(end: number): Alarm | undefined {
    let earliest: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.deadline <= end && (earliest === undefined || alarm.deadline < earliest.deadline)) earliest = alarm;
    }
    return earliest;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    nextTurn(() => resolve());
  });
}

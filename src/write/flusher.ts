import type { Lock } from "../api.js";
import type { Clock, Timer } from "../clock.js";
import { CacheError } from "../errors.js";
import type { CacheEvent } from "../events.js";
import type { JournalLog, JournalState, SealedBatch, StoredOperation } from "./journal.js";
import { decodeOperation, flushBatch, unreadable, type Operation } from "./operation.js";
import type { FlushBatch, FlushOutcome, FlushState, RowId, Sink } from "./sink.js";
import { within } from "./within.js";

export interface FlusherSettings {
  readonly name: string;
  /** Milliseconds between looks at the log. */
  readonly flushEvery: number;
  /** Most operations, and bytes, of a batch. */
  readonly maxBatch: number;
  readonly maxBatchBytes: number;
  /** How long one call of the journal, and one of the sink, may take; milliseconds. */
  readonly timeout: number;
  readonly sinkTimeout: number;
}

export interface FlusherParts {
  readonly log: JournalLog;
  readonly sink: Sink;
  readonly clock: Clock;
  readonly settings: FlusherSettings;
  /** The cache's lock on this flush. @param wait milliseconds */
  readonly lock: (wait: number) => Promise<Lock>;
  /** A text that comes only once. */
  readonly newId: () => string;
  readonly emit: (event: CacheEvent) => void;
  /** Rows that are not what the log said they would be. */
  readonly onCorrected: (ids: readonly RowId[]) => Promise<void>;
}

/** The longest time between tries while the source is away; milliseconds. */
const LONGEST_WAIT = 30_000;
/** How long somebody who asks for a flush waits for another's; then he flushes as well, which is only less economical. */
const LOCK_WAIT = 1_000;
/** Tries of one batch to agree with the source on what it has. */
const MAX_UNEXPECTED = 5;

/**
 * Applies the log to the source, batch by batch. For implementers, why each operation is applied once, whoever dies when:
 *
 * 1. `seal` fixes a batch B with number n; until it is settled everybody is given B.
 * 2. `apply` does B's changes and notes (generation, n, B) in one transaction of the source, if n − 1 was noted before.
 *    Died before its commit: nothing was done, and 1 gives B again. Two at a time: the second waits for the first's
 *    transaction, and then finds B noted. Died after: B is done again, and found noted.
 * 3. `settle` removes B from the log, if it is sealed. Died before: as above. Called late, it finds another batch sealed.
 *
 * A flusher may sleep between any two steps, so its batch may be long settled when it comes to 2. The source then has
 * another number, and it looks once more at the journal: if B is not sealed there, it was late, and lets go. If it is, the
 * journal went back in time (a restart from an older file, a replica that lagged behind) or the source did (a backup).
 * Then B is applied as the first batch of a new generation, if the source is still where it was when it was asked; and from
 * B and all that come after it the source leaves out what it remembers, by the operations' ids, from before. (Only from B is
 * not enough: what the log got back may be more than one batch.) So the lock makes flushing economical; that it is right
 * does not depend on it.
 */
export class Flusher {
  readonly #parts: FlusherParts;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #closed = false;
  #failures = 0;
  #state: JournalState = { depth: 0, oldest: 0, dead: 0 };
  #stateAt: number;

  constructor(parts: FlusherParts) {
    this.#parts = parts;
    this.#stateAt = parts.clock.now();
    this.#schedule();
  }

  /** What was last known of the log. */
  get state(): JournalState {
    const { depth, oldest, dead } = this.#state;
    return { depth, dead, oldest: depth === 0 ? 0 : oldest + this.#parts.clock.now() - this.#stateAt };
  }

  /** Hears how full the log is; a batch that is full is not waited for. */
  appended(depth: number): void {
    const isFirst = this.#state.depth === 0;
    if (isFirst) this.#noted({ depth, oldest: 0, dead: this.#state.dead });
    else this.#noted({ ...this.state, depth });
    if (depth >= this.#parts.settings.maxBatch && this.#failures === 0 && this.#running === undefined) {
      this.#inBackground();
    }
  }

  /** Asks the log. */
  async look(): Promise<JournalState> {
    const { log, clock, settings } = this.#parts;
    this.#noted(await within(clock, settings.timeout, `The journal of ${settings.name}`, log.state()));
    return this.#state;
  }

  /**
   * Applies all that is in the log when it is called.
   *
   * @throws what the journal or the sink threw.
   */
  flush(): Promise<void> {
    if (this.#running === undefined) return this.#start(LOCK_WAIT);
    // The one that runs may have begun before what its caller wrote.
    this.#next ??= this.#running
      .catch(() => undefined) // told to who asked for that one
      .then(() => {
        this.#next = undefined;
        return this.#start(LOCK_WAIT);
      });
    return this.#next;
  }

  /** Ends with what runs. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#next?.catch(() => undefined); // its caller hears of it
    await this.#running?.catch(() => undefined); // likewise
  }

  #schedule(): void {
    if (this.#closed) return;
    const { clock, settings } = this.#parts;
    const wait = Math.min(settings.flushEvery * 2 ** this.#failures, Math.max(LONGEST_WAIT, settings.flushEvery));
    this.#timer = clock.after(wait, () => {
      if (this.#running === undefined) this.#inBackground();
      this.#schedule();
    });
  }

  /** Of this process's own accord: another that is at it is left to it. */
  #inBackground(): void {
    // Told by an event; the timer tries again.
    this.#start(0).catch(() => undefined);
  }

  #start(wait: number): Promise<void> {
    this.#running ??= this.#all(wait)
      .then(
        () => {
          this.#failures = 0;
        },
        (error: unknown) => {
          this.#failures = Math.min(this.#failures + 1, 16);
          this.#parts.emit({ type: "flush-failed", name: this.#parts.settings.name, error });
          throw error;
        },
      )
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #all(wait: number): Promise<void> {
    const { depth } = await this.look();
    if (depth === 0) return;
    const lock = await this.#lock(wait);
    if (lock === "busy" && wait === 0) return;
    try {
      // So many were there when it was asked for: what is appended meanwhile is the next one's.
      for (let left = depth; left > 0;) {
        const flushed = await this.#one();
        if (flushed === 0 || (lock !== "busy" && lock?.signal.aborted === true)) break;
        left -= flushed;
      }
    } finally {
      // That it was lost, or is not given back, costs the next one a wait.
      if (lock !== "busy") await lock?.release().catch(() => undefined);
    }
    await this.look();
  }

  /** The lock; "busy" when another has it, `undefined` when there is nobody to ask. */
  async #lock(wait: number): Promise<Lock | "busy" | undefined> {
    try {
      return await this.#parts.lock(wait);
    } catch (error) {
      return error instanceof CacheError && error.code === "ERR_CACHE_LOCK" ? "busy" : undefined;
    }
  }

  /** @returns how many operations were in the batch; 0 when there was none, or it was another's */
  async #one(): Promise<number> {
    const { name } = this.#parts.settings;
    const began = this.#parts.clock.now();
    const sealed = await this.#seal();
    if (sealed === undefined) return 0;
    const batch = flushBatch(name, sealed, this.#parts.newId());
    const done = await this.#applied(batch);
    if (done === undefined) return sealed.operations.length;
    await this.#settle(sealed, done);
    const took = this.#parts.clock.now() - began;
    this.#parts.emit({ type: "flushed", name, operations: sealed.operations.length, took });
    return sealed.operations.length;
  }

  #seal(): Promise<SealedBatch | undefined> {
    const { log, clock, settings, newId } = this.#parts;
    const request = {
      batchId: newId(),
      generation: newId(),
      most: settings.maxBatch,
      mostBytes: settings.maxBatchBytes,
    };
    return within(clock, settings.timeout, `The journal of ${settings.name}`, log.seal(request));
  }

  /** `undefined` when the batch is not this flusher's to apply any more. */
  async #applied(batch: FlushBatch): Promise<Exclude<FlushOutcome, { outcome: "unexpected" }> | undefined> {
    const { clock, settings, emit, sink } = this.#parts;
    let expected: FlushState | undefined;
    for (let tries = 0; tries < MAX_UNEXPECTED; tries++) {
      const applying = sink.apply(batch, expected);
      const outcome = await within(clock, settings.sinkTimeout, `The sink of ${settings.name}`, applying);
      if (outcome.outcome !== "unexpected") {
        if (expected !== undefined) emit({ type: "rewound", name: settings.name, what: wentBack(batch, expected) });
        return outcome;
      }
      expected = outcome.state;
      if ((await this.#seal())?.batchId !== batch.batchId) return undefined;
    }
    throw new CacheError("ERR_CACHE_TIER", `The source of ${settings.name} moves on without its journal`);
  }

  async #settle(sealed: SealedBatch, done: Exclude<FlushOutcome, { outcome: "unexpected" }>): Promise<void> {
    const { log, clock, settings, emit, onCorrected } = this.#parts;
    const { generation, seq } = done;
    const rejected = done.rejected.flatMap(({ opIds, reason }) => opIds.map((opId) => ({ opId, reason })));
    for (const { opId } of unreadable(sealed.operations)) rejected.push({ opId, reason: "it cannot be read" });
    const settlement = { batchId: sealed.batchId, generation, seq, rejected };
    const settled = await within(clock, settings.timeout, `The journal of ${settings.name}`, log.settle(settlement));
    const reasons = new Map(rejected.map(({ opId, reason }) => [opId, reason]));
    const parked = sealed.operations.filter(({ opId }) => reasons.has(opId));
    const corrected = new Set([...done.merged, ...parked.map(({ key }) => key)]);
    if (corrected.size > 0) await onCorrected(idsOf(sealed.operations.filter(({ key }) => corrected.has(key))));
    if (!settled) return;
    for (const { opId, key, body } of parked) {
      const reason = reasons.get(opId) ?? "";
      emit({ type: "parked", name: settings.name, key, opId, reason, kind: read(body)?.kind ?? "unknown" });
    }
  }

  #noted(state: JournalState): void {
    this.#state = state;
    this.#stateAt = this.#parts.clock.now();
  }
}

/** Which of the two has not what the other knows it had. */
function wentBack(batch: FlushBatch, state: FlushState): "journal" | "source" {
  if (state.generation === "") return "source";
  return state.generation === batch.generation && state.seq < batch.seq - 1 ? "source" : "journal";
}

function idsOf(operations: readonly StoredOperation[]): readonly RowId[] {
  const ids = new Map<string, RowId>();
  for (const { key, body } of operations) {
    const operation = read(body);
    if (operation !== undefined) ids.set(key, operation.id);
  }
  return [...ids.values()];
}

/** `undefined` when it was refused because it cannot be read. */
function read(body: Uint8Array): Operation | undefined {
  try {
    return decodeOperation(body);
  } catch {
    return undefined;
  }
}

import type { Clock } from "../clock.js";
import type {
  Appended,
  JournalOperation,
  JournalState,
  PendingRead,
  SealedBatch,
  SealRequest,
  Settlement,
  StoredLetter,
  StoredOperation,
} from "../write/journal.js";
import {
  decodeJson,
  decodeStored,
  encodeJson,
  encodeStored,
  JournalKeys,
  KIND,
  NO_STATE,
  type Kind,
  type LogState,
  type PendingKey,
} from "./journal-records.js";
import type { Table } from "./table.js";

/** How long the ids of operations are remembered, and how many of them; milliseconds. */
const REMEMBERED_FOR = 600_000;
const REMEMBERED = 100_000;
/** Ids forgotten by one append beyond those it brings, so that none takes long. */
const FORGOTTEN_AT_ONCE = 1_000;

const NOTHING: PendingKey = { positions: [], sum: 0, sealedSum: 0 };

interface RememberedId {
  readonly at: number;
  readonly place: number;
}

/** The steps of one log, each in a transaction of its caller's. */
export class LogSteps {
  readonly #table: Table;
  readonly #keys: JournalKeys;
  readonly #clock: Clock;
  readonly #maxBytes: number;

  /** @param maxBytes of the bodies of operations and letters */
  constructor(table: Table, name: string, clock: Clock, maxBytes: number) {
    this.#table = table;
    this.#keys = new JournalKeys(name);
    this.#clock = clock;
    this.#maxBytes = maxBytes;
  }

  append(operations: readonly JournalOperation[], limit: number): Appended {
    const at = this.#clock.wall();
    let state = this.#forgetIds(this.#state(), at);
    let added = 0;
    for (const operation of operations) {
      const idKey = this.#keys.named(KIND.opId, operation.opId);
      if (this.#read<RememberedId>(idKey) === undefined) {
        const bytes = state.bytes + operation.body.length;
        if (state.depth + state.letters >= limit || bytes > this.#maxBytes) break;
        const position = state.last + 1;
        const place = state.nextId;
        this.#write(idKey, { at, place });
        this.#write(this.#keys.placed(KIND.opIdByAge, place), operation.opId);
        this.#store(KIND.operation, position, { ...operation, at });
        this.#pend(operation, position);
        state = { ...state, last: position, depth: state.depth + 1, bytes, nextId: place + 1 };
      }
      added += 1;
    }
    this.#save(state);
    return { added, depth: state.depth + state.letters };
  }

  pending(keys: readonly string[]): PendingRead {
    const { sealed, settled } = this.#state();
    return {
      sealed: sealed?.batchId,
      settled,
      keys: keys.map((key) => {
        const { positions, sum, sealedSum } = this.#pendingOf(key);
        return { sum, sealedSum, bodies: positions.map((position) => this.#operation(position).body) };
      }),
    };
  }

  seal(request: SealRequest): SealedBatch | undefined {
    const state = this.#state();
    if (state.depth === 0) return undefined;
    const sealed = state.sealed ?? { batchId: request.batchId, upTo: this.#lastOf(state, request) };
    const generation = state.generation ?? request.generation;
    const operations = this.#range(state, sealed.upTo);
    if (state.sealed === undefined) {
      for (const { key, by } of operations) {
        if (by === 0) continue;
        const pending = this.#pendingOf(key);
        this.#write(this.#keys.named(KIND.pending, key), { ...pending, sealedSum: pending.sealedSum + by });
      }
      this.#save({ ...state, sealed, generation });
    }
    return { batchId: sealed.batchId, generation, seq: state.seq + 1, operations };
  }

  settle({ batchId, generation, seq, rejected }: Settlement): boolean {
    const state = this.#state();
    if (state.sealed?.batchId !== batchId) return false;
    const { upTo } = state.sealed;
    const reasons = new Map(rejected.map(({ opId, reason }) => [opId, reason]));
    const operations = this.#range(state, upTo);
    let { letters, bytes } = state;
    for (const [index, operation] of operations.entries()) {
      const position = upTo - operations.length + 1 + index;
      const reason = reasons.get(operation.opId);
      if (reason === undefined) bytes -= operation.body.length;
      else {
        this.#store(KIND.letter, position, { ...operation, reason });
        letters += 1;
      }
      this.#unpend(operation, upTo);
      this.#table.remove(this.#keys.placed(KIND.operation, position));
    }
    const depth = state.depth - operations.length;
    this.#save({ ...state, depth, letters, bytes, generation, seq, settled: batchId, sealed: undefined });
    return true;
  }

  state(): JournalState {
    const state = this.#state();
    const { depth, letters } = state;
    const oldest = depth === 0 ? undefined : this.#operation(state.last - depth + 1);
    return { depth, dead: letters, oldest: oldest === undefined ? 0 : Math.max(0, this.#clock.wall() - oldest.at) };
  }

  letters(limit: number): readonly StoredLetter[] {
    const start = this.#keys.placed(KIND.letter, 0);
    const end = this.#keys.placed(KIND.letter, Number.MAX_VALUE);
    return this.#table
      .items({ start, end, limit })
      .map(({ key, value }) => decodeStored<StoredLetter>(asBytes(key), asBytes(value)));
  }

  discard(opIds: readonly string[]): number {
    const wanted = new Set(opIds);
    const start = this.#keys.placed(KIND.letter, 0);
    const end = this.#keys.placed(KIND.letter, Number.MAX_VALUE);
    let removed = 0;
    let removedBytes = 0;
    for (const { key, value } of this.#table.items({ start, end })) {
      const { opId, body } = decodeStored<StoredLetter>(asBytes(key), asBytes(value));
      if (!wanted.has(opId)) continue;
      this.#table.remove(key);
      removed += 1;
      removedBytes += body.length;
    }
    const state = this.#state();
    const { letters, bytes } = state;
    if (removed > 0) this.#save({ ...state, letters: letters - removed, bytes: bytes - removedBytes });
    return removed;
  }

  /** Positions are given one after the other, and leave from the front. */
  #range({ last, depth }: LogState, upTo: number): readonly StoredOperation[] {
    const first = last - depth + 1;
    return Array.from({ length: upTo - first + 1 }, (_, index) => this.#operation(first + index));
  }

  /** The position of the last operation of a new batch. */
  #lastOf({ last, depth }: LogState, { most, mostBytes }: SealRequest): number {
    const first = last - depth + 1;
    let bytes = 0;
    for (let position = first; ; position++) {
      bytes += this.#operation(position).body.length;
      if (position > first && bytes > mostBytes) return position - 1;
      if (position === last || position - first + 1 === most) return position;
    }
  }

  #pend({ key, whole, by }: JournalOperation, position: number): void {
    const { positions, sum, sealedSum } = this.#pendingOf(key);
    const before = whole ? [] : positions;
    const pending = { positions: by === 0 ? [...before, position] : positions, sum: sum + by, sealedSum };
    this.#write(this.#keys.named(KIND.pending, key), pending);
  }

  #unpend({ key, by }: JournalOperation, upTo: number): void {
    const { positions, sum } = this.#pendingOf(key);
    const left = positions.filter((position) => position > upTo);
    const pendingKey = this.#keys.named(KIND.pending, key);
    if (left.length === 0 && sum === by) this.#table.remove(pendingKey);
    else this.#write(pendingKey, { positions: left, sum: sum - by, sealedSum: 0 });
  }

  #forgetIds(state: LogState, at: number): LogState {
    let { oldestId } = state;
    const most = oldestId + FORGOTTEN_AT_ONCE;
    while (oldestId < state.nextId && oldestId < most) {
      const ageKey = this.#keys.placed(KIND.opIdByAge, oldestId);
      const opId = this.#read<string>(ageKey);
      const idKey = opId === undefined ? undefined : this.#keys.named(KIND.opId, opId);
      const remembered = idKey && this.#read<RememberedId>(idKey);
      const isYoung = remembered !== undefined && remembered.at > at - REMEMBERED_FOR;
      if (isYoung && state.nextId - oldestId <= REMEMBERED) break;
      if (idKey !== undefined) this.#table.remove(idKey);
      this.#table.remove(ageKey);
      oldestId += 1;
    }
    return { ...state, oldestId };
  }

  #state(): LogState {
    return this.#read<LogState>(this.#keys.state()) ?? NO_STATE;
  }

  #save(state: LogState): void {
    this.#write(this.#keys.state(), state);
  }

  #pendingOf(key: string): PendingKey {
    return this.#read<PendingKey>(this.#keys.named(KIND.pending, key)) ?? NOTHING;
  }

  #operation(position: number): StoredOperation {
    const key = this.#keys.placed(KIND.operation, position);
    return decodeStored(key, this.#table.get(key) ?? new Uint8Array(0));
  }

  #store(kind: Kind, position: number, stored: StoredOperation & { readonly reason?: string }): void {
    const key = this.#keys.placed(kind, position);
    this.#table.put(key, encodeStored(key, stored));
  }

  #read<T>(key: Uint8Array): T | undefined {
    const bytes = this.#table.get(key);
    return bytes && decodeJson<T>(key, bytes);
  }

  #write(key: Uint8Array, value: unknown): void {
    this.#table.put(key, encodeJson(key, value));
  }
}

/** The package's own kind of buffer has a length that may not be its own. */
function asBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

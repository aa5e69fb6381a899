import { CacheError } from "../errors.js";
import type { Head, LogRecord, Mark } from "../invalidation/record.js";
import { KIND, type Kind, type Layout } from "./layout.js";
import {
  decodeMoved,
  decodeRecord,
  decodeRule,
  decodeSettled,
  decodeState,
  encodeMoved,
  encodeNothing,
  encodeRecord,
  encodeSettled,
  encodeState,
  type State,
} from "./records.js";
import type { Table } from "./table.js";

export interface LedgerBounds {
  readonly logLength: number;
  /** Bytes of the log's records. */
  readonly logBytes: number;
  readonly maxMarks: number;
  readonly maxRules: number;
}

export interface LogTail {
  readonly records: readonly LogRecord[] | undefined;
  readonly head: Head;
  /** Without records: the position after which the log has them all, if it has any. */
  readonly oldest?: number | undefined;
}

/** Ends of leases that are kept for those who look a little late; the rest look at their keys again by themselves. */
const RING = 1_024;
/** How far two processes' microseconds are apart: each knows the machine's clock to the millisecond. */
const SKEW = 1_000;
/** Records of the log, and marks, forgotten in one step: every writer of the machine waits meanwhile. */
const MAX_TRIMMED = 64;
const MAX_FORGOTTEN = 20_000;
/** Marks in one step, and bytes of its one record. */
const MAX_MARKS = 10_000;
const MAX_RECORD = 4_194_304;

/** What one cache remembers of its invalidations: the head, the log, the marks. Every method is part of one step. */
export class Ledger {
  readonly #table: Table;
  readonly #layout: Layout;
  readonly #bounds: LedgerBounds;
  readonly #micros: () => number;
  /** The highest position seen, in whatever file: a new one goes on from there. */
  #highest: number;
  #hasNews = false;

  constructor(table: Table, layout: Layout, bounds: LedgerBounds, micros: () => number, highest: number) {
    this.#table = table;
    this.#layout = layout;
    this.#bounds = bounds;
    this.#micros = micros;
    this.#highest = highest;
  }

  get highest(): number {
    return this.#highest;
  }

  /** Whether something was appended or settled since this was last asked. */
  takeNews(): boolean {
    const had = this.#hasNews;
    this.#hasNews = false;
    return had;
  }

  /** `undefined` while no generation was begun. */
  state(): State | undefined {
    const state = this.#table.glance(this.#layout.state, (bytes) => decodeState(this.#layout.state, bytes));
    if (state === undefined) return undefined;
    this.#highest = Math.max(this.#highest, state.position, state.fence);
    return state;
  }

  /** Begins a generation when there is none. */
  open(): State {
    const found = this.state();
    if (found !== undefined) return found;
    // What was there may have been begun by a process whose clock is ahead of this one's.
    this.#highest = Math.max(this.#highest, this.#micros() + SKEW);
    const start = this.#next(0);
    const none = { fence: start, settled: 0, records: 0, recordBytes: 0, marks: 0, rules: 0 };
    return this.#save({ position: start, control: start, floor: start, ...none });
  }

  head(): Head {
    return headOf(this.open());
  }

  nextFence(): number {
    const state = this.open();
    return this.#save({ ...state, fence: this.#next(state.fence) }).fence;
  }

  /** @throws CacheError `ERR_CACHE_TIER` for more than one step may take. */
  append(marks: readonly Mark[], soft: boolean, origin: string): Head {
    this.#hasNews = true;
    if (marks.length > MAX_MARKS) throw tooMuch(`${MAX_MARKS} keys and marks`, marks.length);
    const state = this.open();
    const position = this.#next(state.position);
    const key = this.#layout.record(position);
    const bytes = encodeRecord(key, { previous: state.position, origin, soft, marks });
    if (bytes.length > MAX_RECORD) throw tooMuch(`a record of ${MAX_RECORD} bytes`, bytes.length);
    this.#table.put(key, bytes);
    const others = marks.filter((mark) => mark.kind !== "key");
    let next: State = {
      ...state,
      position,
      control: others.length > 0 ? position : state.control,
      records: state.records + 1,
      recordBytes: state.recordBytes + bytes.length,
    };
    for (const mark of others) next = this.#move(next, mark, soft);
    return headOf(this.#save(this.#trimLog(this.#forget(next))));
  }

  /** The positions of marks other than keys, hard and soft. */
  positionsOf(marks: readonly Mark[]): readonly { hard: number; soft: number }[] {
    const { floor } = this.open();
    const at = (mark: Mark, soft: boolean): number => {
      if (mark.kind === "key") return 0;
      const key = this.#layout.named(isRule(mark) ? KIND.rule : KIND.mark, nameOf(mark, soft));
      const bytes = this.#table.get(key);
      return bytes === undefined ? 0 : decodeMoved(key, bytes);
    };
    return marks.map((mark) => ({ hard: Math.max(floor, at(mark, false)), soft: at(mark, true) }));
  }

  rules(): readonly { mark: Mark; hard: number; soft: number }[] {
    this.open();
    const rules = new Map<string, { mark: Mark; hard: number; soft: number }>();
    for (const { key, value } of this.#table.items(this.#layout.range(KIND.rule))) {
      const { mark, soft, position } = decodeRule(key, value);
      const name = nameOf(mark, false);
      const rule = rules.get(name) ?? { mark, hard: 0, soft: 0 };
      rule[soft ? "soft" : "hard"] = position;
      rules.set(name, rule);
    }
    return [...rules.values()];
  }

  since(position: number, limit: number): LogTail {
    const head = headOf(this.open());
    if (position === head.position) return { records: [], head };
    const records = this.recordsAfter(position, limit);
    if (records[0]?.previous === position) return { records, head };
    return { records: undefined, head, oldest: this.recordsAfter(0, 1)[0]?.previous };
  }

  recordsAfter(position: number, limit: number): readonly LogRecord[] {
    const start = this.#layout.record(position + 1);
    const { end } = this.#layout.range(KIND.record);
    return this.#table
      .items({ start, end, limit })
      .map(({ key, value }) => decodeRecord(key, value, this.#layout.positionOf(key)));
  }

  /** A lease on the path ended. */
  settle(path: string): void {
    this.#hasNews = true;
    const state = this.open();
    const settled = state.settled + 1;
    const key = this.#layout.settled(settled % RING);
    this.#table.put(key, encodeSettled(key, settled, path));
    this.#save({ ...state, settled });
  }

  /** The paths of the leases that ended after so many, as far as they are kept. */
  settledAfter(number: number, to: number): readonly string[] {
    const paths: string[] = [];
    for (let at = Math.max(number + 1, to - RING + 1); at <= to; at++) {
      const key = this.#layout.settled(at % RING);
      const bytes = this.#table.get(key);
      const found = bytes && decodeSettled(key, bytes);
      if (found?.number === at) paths.push(found.path);
    }
    return paths;
  }

  #move(state: State, mark: Mark, soft: boolean): State {
    const [kind, age, count] = isRule(mark)
      ? ([KIND.rule, KIND.ruleAge, "rules"] as const)
      : ([KIND.mark, KIND.markAge, "marks"] as const);
    const key = this.#layout.named(kind, nameOf(mark, soft));
    const old = this.#table.get(key);
    if (old !== undefined) this.#table.remove(this.#layout.aged(age, decodeMoved(key, old), key));
    this.#table.put(key, encodeMoved(key, state.position, isRule(mark) ? { mark, soft } : undefined));
    const aged = this.#layout.aged(age, state.position, key);
    this.#table.put(aged, encodeNothing(aged));
    return old === undefined ? { ...state, [count]: state[count] + 1 } : state;
  }

  #forget(state: State): State {
    const marks = this.#forgetOldest(KIND.mark, KIND.markAge, state.marks - this.#bounds.maxMarks);
    const rules = this.#forgetOldest(KIND.rule, KIND.ruleAge, state.rules - this.#bounds.maxRules);
    return {
      ...state,
      floor: Math.max(state.floor, marks.position, rules.position),
      marks: state.marks - marks.count,
      rules: state.rules - rules.count,
    };
  }

  /** A mark at or below the floor says nothing any more, so all of one record go together. */
  #forgetOldest(kind: Kind, age: Kind, excess: number): { count: number; position: number } {
    if (excess <= 0) return { count: 0, position: 0 };
    const { start, end } = this.#layout.range(age);
    const first = this.#table.keys({ start, end, limit: Math.min(excess, MAX_FORGOTTEN) });
    const last = first.at(-1);
    if (last === undefined) return { count: 0, position: 0 };
    const position = this.#layout.positionOf(last);
    const beyond = this.#layout.aged(age, position + 1, new Uint8Array(20));
    const gone = this.#table.keys({ start, end: beyond });
    for (const key of gone) {
      this.#table.remove(key);
      this.#table.remove(this.#layout.namedOf(kind, key));
    }
    return { count: gone.length, position };
  }

  #trimLog(state: State): State {
    const { logLength, logBytes } = this.#bounds;
    let { records, recordBytes } = state;
    if (records <= logLength && recordBytes <= logBytes) return state;
    const { start, end } = this.#layout.range(KIND.record);
    for (const key of this.#table.keys({ start, end, limit: MAX_TRIMMED })) {
      if (records <= logLength && recordBytes <= logBytes) break;
      records -= 1;
      recordBytes -= this.#table.glance(key, (bytes) => bytes.length) ?? 0;
      this.#table.remove(key);
    }
    return { ...state, records, recordBytes };
  }

  #next(last: number): number {
    this.#highest = Math.max(this.#micros(), last + 1, this.#highest + 1);
    return this.#highest;
  }

  #save(state: State): State {
    this.#table.put(this.#layout.state, encodeState(this.#layout.state, state));
    return state;
  }
}

export function headOf({ position, control, floor }: State): Head {
  return { position, control, floor };
}

function tooMuch(most: string, got: number): CacheError {
  return new CacheError("ERR_CACHE_TIER", `One atomic step takes at most ${most}, got ${got}: send fewer at once`);
}

/** Whether a mark hits by rule, so that a process must know it before it can judge. */
function isRule(mark: Mark): boolean {
  return mark.kind === "pattern" || mark.kind === "tags";
}

/** Hard and soft are remembered apart. */
function nameOf(mark: Mark, soft: boolean): string {
  const mode = soft ? "soft" : "hard";
  switch (mark.kind) {
    case "key":
      return `${mode} key ${mark.key}`;
    case "tag":
      return `${mode} tag ${mark.tag}`;
    case "tags":
      return `${mode} tags ${JSON.stringify(mark.tags)}`;
    case "prefix":
      return `${mode} prefix ${mark.prefix}`;
    case "pattern":
      return `${mode} pattern ${mark.pattern}`;
    case "all":
      return `${mode} all`;
  }
}

import type { MissReason } from "../events.js";
import { patternMatcher } from "../patterns.js";
import { pathPrefixes } from "../keys.js";
import type { LogRecord, Mark } from "./record.js";

/** What the marks say of an entry: nothing newer hits it, it is stale, or it is gone. */
export type Verdict = { readonly state: "valid" } | { readonly state: "soft" | "hard"; readonly reason: MissReason };

/** What is judged: the entry's key and tags, and the position up to which it is known good. */
export interface Judged {
  readonly position: number;
  readonly tags: readonly string[];
}

/** When a mark was last moved, hard and soft; 0 is never. */
export interface MarkPositions {
  readonly hard: number;
  readonly soft: number;
}

interface Cell {
  hard: number;
  soft: number;
}

interface Rule {
  readonly mark: Mark;
  readonly matches: (key: string, tags: readonly string[]) => boolean;
  readonly cell: Cell;
}

const VALID: Verdict = { state: "valid" };
const NOTHING: MarkPositions = { hard: 0, soft: 0 };

/**
 * Every tag, prefix, pattern and "all" invalidation this process has heard of, each with the position of its
 * latest record.
 *
 * For implementers:
 * - An entry is hit by a mark iff the mark's position is greater than the entry's. Nothing else is compared:
 *   no wall clock, no per-entry list of versions. An entry's position is the log's when its load *began*, so a
 *   tag that the loader names only at its end is covered as well.
 * - The memory of marks is bounded: when there are more than `limit`, the oldest are forgotten and `since` rises.
 *   An entry older than `since` cannot be judged here (`knows` is false); with a shared tier its marks are asked
 *   for, without one it counts as forgotten.
 * - Judging is O(tags + segments of the key + rules), and skipped altogether for an entry newer than the
 *   newest mark, which is the usual case: callers remember `version` per entry.
 */
export class Marks {
  readonly #limit: number;
  readonly #ruleLimit: number;
  // Insertion order is order of position: a moved cell is taken out and put in again.
  readonly #tags = new Map<string, Cell>();
  readonly #prefixes = new Map<string, Cell>();
  readonly #rules = new Map<string, Rule>();
  readonly #all: Cell = { hard: 0, soft: 0 };
  #newestTag = 0;
  #newestPrefix = 0;
  #newestRule = 0;
  #newestAll = 0;
  #since: number;
  #version = 0;

  constructor(since: number, limit = 100_000, ruleLimit = 1_000) {
    this.#since = since;
    this.#limit = limit;
    this.#ruleLimit = ruleLimit;
  }

  /** Changes whenever an entry found valid before may have become invalid. */
  get version(): number {
    return this.#version;
  }

  /** Every mark newer than this position is known here. */
  get since(): number {
    return this.#since;
  }

  get size(): number {
    return this.#tags.size + this.#prefixes.size + this.#rules.size;
  }

  /**
   * Starts to know all at `since`: records before it were lost. What is known stays: this process may have made those
   * records itself, and an entry they hit must not be the best there is when a load fails.
   */
  restart(since: number): void {
    this.#since = since;
    this.#version += 1;
  }

  /** Has every entry judged again at its next use. */
  touch(): void {
    this.#version += 1;
  }

  /** Applies the marks of one record, `key` marks excepted: those are the entry's own business. */
  apply(record: Pick<LogRecord, "marks" | "soft" | "position">): void {
    for (const mark of record.marks)
      this.learn(mark, record.soft ? { hard: 0, soft: record.position } : { hard: record.position, soft: 0 });
  }

  /** Learns when a mark was moved; positions never go back. */
  learn(mark: Mark, { hard, soft }: MarkPositions): void {
    if (!this.#raise(mark, hard, soft)) return;
    this.#version += 1;
    this.#forget();
  }

  /** Whether every mark that could hit the entry is known here. */
  knows(entry: Judged): boolean {
    return entry.position >= this.#since;
  }

  /** Judges by what is known here; the hard verdict wins over the soft. */
  judge(key: string, entry: Judged): Verdict {
    const { position } = entry;
    let soft: MissReason | undefined;
    if (this.#newestAll > position) {
      if (this.#all.hard > position) return { state: "hard", reason: "invalidated-all" };
      soft = "invalidated-all";
    }
    if (this.#newestTag > position) {
      for (const tag of entry.tags) {
        const cell = this.#tags.get(tag);
        if (cell === undefined) continue;
        if (cell.hard > position) return { state: "hard", reason: "invalidated-tag" };
        if (cell.soft > position) soft ??= "invalidated-tag";
      }
    }
    if (this.#newestPrefix > position) {
      for (const prefix of pathPrefixes(key)) {
        const cell = this.#prefixes.get(prefix);
        if (cell === undefined) continue;
        if (cell.hard > position) return { state: "hard", reason: "invalidated-prefix" };
        if (cell.soft > position) soft ??= "invalidated-prefix";
      }
    }
    if (this.#newestRule > position) {
      for (const rule of this.#rules.values()) {
        if (rule.cell.hard <= position && rule.cell.soft <= position) continue;
        if (!rule.matches(key, entry.tags)) continue;
        const reason = rule.mark.kind === "tags" ? "invalidated-tag" : "invalidated-pattern";
        if (rule.cell.hard > position) return { state: "hard", reason };
        soft ??= reason;
      }
    }
    return soft === undefined ? VALID : { state: "soft", reason: soft };
  }

  /** Whether the mark moved: a record passes twice where it was written. */
  #raise(mark: Mark, hard: number, soft: number): boolean {
    const newest = Math.max(hard, soft);
    switch (mark.kind) {
      case "key":
        return false;
      case "tag":
        this.#newestTag = Math.max(this.#newestTag, newest);
        return move(this.#tags, mark.tag, hard, soft);
      case "prefix":
        this.#newestPrefix = Math.max(this.#newestPrefix, newest);
        return move(this.#prefixes, mark.prefix, hard, soft);
      case "tags":
      case "pattern":
        this.#newestRule = Math.max(this.#newestRule, newest);
        return this.#raiseRule(mark, hard, soft);
      case "all":
        this.#newestAll = Math.max(this.#newestAll, newest);
        return raise(this.#all, hard, soft);
    }
  }

  #raiseRule(mark: Mark, hard: number, soft: number): boolean {
    const name = JSON.stringify(mark);
    const known = this.#rules.get(name);
    const rule = known ?? { mark, matches: matcherOf(mark), cell: { hard: 0, soft: 0 } };
    if (!raise(rule.cell, hard, soft)) return false;
    this.#rules.delete(name);
    this.#rules.set(name, rule);
    return true;
  }

  #forget(): void {
    this.#since = Math.max(
      this.#since,
      dropOldest(this.#tags, this.#limit, (cell) => cell),
      dropOldest(this.#prefixes, this.#limit, (cell) => cell),
      dropOldest(this.#rules, this.#ruleLimit, (rule) => rule.cell),
    );
  }
}

/** The marks, other than rules, that could hit an entry: what to ask a shared tier for. */
export function marksOf(key: string, tags: readonly string[]): Mark[] {
  return [
    { kind: "all" },
    ...tags.map((tag): Mark => ({ kind: "tag", tag })),
    ...Array.from(pathPrefixes(key), (prefix): Mark => ({ kind: "prefix", prefix })),
  ];
}

/** Judges by positions fetched for `marksOf`, in its order. */
export function judgeFetched(marks: readonly Mark[], positions: readonly MarkPositions[], position: number): Verdict {
  let soft: MissReason | undefined;
  for (const [index, mark] of marks.entries()) {
    const at = positions[index] ?? NOTHING;
    if (mark.kind === "key" || mark.kind === "tags") continue;
    const reason: MissReason = `invalidated-${mark.kind}`;
    if (at.hard > position) return { state: "hard", reason };
    if (at.soft > position) soft ??= reason;
  }
  return soft === undefined ? VALID : { state: "soft", reason: soft };
}

function matcherOf(mark: Mark): (key: string, tags: readonly string[]) => boolean {
  if (mark.kind === "pattern") return patternMatcher(mark.pattern);
  if (mark.kind === "tags") return (_key, tags) => mark.tags.every((tag) => tags.includes(tag));
  return () => false;
}

function move(cells: Map<string, Cell>, name: string, hard: number, soft: number): boolean {
  const cell = cells.get(name) ?? { hard: 0, soft: 0 };
  if (!raise(cell, hard, soft)) return false;
  cells.delete(name);
  cells.set(name, cell);
  return true;
}

function raise(cell: Cell, hard: number, soft: number): boolean {
  if (hard <= cell.hard && soft <= cell.soft) return false;
  cell.hard = Math.max(cell.hard, hard);
  cell.soft = Math.max(cell.soft, soft);
  return true;
}

/** Drops the oldest tenth past the limit; the highest position dropped, 0 if none. */
function dropOldest<T>(cells: Map<string, T>, limit: number, cellOf: (item: T) => Cell): number {
  if (cells.size <= limit) return 0;
  let left = cells.size - Math.floor(limit * 0.9);
  let highest = 0;
  for (const [name, item] of cells) {
    if (left-- <= 0) break;
    const cell = cellOf(item);
    highest = Math.max(highest, cell.hard, cell.soft);
    cells.delete(name);
  }
  return highest;
}

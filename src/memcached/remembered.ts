import type { Mark } from "../invalidation/record.js";
import { isRule, parseJson, type RecordBody } from "../invalidation/mark-text.js";
import { nameOf, parseName } from "./wire.js";

/** Most of what is remembered; beyond it what was moved longest ago is forgotten. */
export interface MarkBounds {
  /** Tags, prefixes and "all", hard and soft apart. */
  readonly maxMarks: number;
  /** Patterns and tag sets, likewise. */
  readonly maxRules: number;
}

/** Bytes of the names of either: all of them must fit into one item. */
const MAX_WEIGHT = 300_000;
/** What a name costs beside itself where it is stored. */
const OVERHEAD = 24;

interface Moved {
  readonly position: number;
  readonly weight: number;
}

/** When each mark was last moved, as told by the records that hold marks other than keys, applied in order. */
export class RememberedMarks {
  readonly #marks: Recent;
  readonly #rules: Recent;
  #floor = 0;

  constructor({ maxMarks, maxRules }: MarkBounds) {
    this.#marks = new Recent(maxMarks);
    this.#rules = new Recent(maxRules);
  }

  /** The newest position forgotten: a mark not found may have been moved up to here. */
  get floor(): number {
    return this.#floor;
  }

  /** What `floor` will be when a record is applied that may yet come to nothing. */
  floorAfter(body: RecordBody, position: number): number {
    const { marks, rules } = namesOf(body);
    return Math.max(this.#floor, this.#marks.dropped(marks, position), this.#rules.dropped(rules, position));
  }

  apply(body: RecordBody, position: number): void {
    const { marks, rules } = namesOf(body);
    this.#floor = Math.max(this.#floor, this.#marks.move(marks, position), this.#rules.move(rules, position));
  }

  /** 0 for never, as far as is remembered. */
  position(mark: Mark, soft: boolean): number {
    return (isRule(mark) ? this.#rules : this.#marks).position(member(mark, soft));
  }

  rules(): readonly { mark: Mark; hard: number; soft: number }[] {
    const rules = new Map<string, { mark: Mark; hard: number; soft: number }>();
    for (const [name, { position }] of this.#rules.entries()) {
      const mark = parseName(name.slice(1));
      if (mark === undefined) continue;
      const rule = rules.get(name.slice(1)) ?? { mark, hard: 0, soft: 0 };
      rule[name.startsWith("s") ? "soft" : "hard"] = position;
      rules.set(name.slice(1), rule);
    }
    return [...rules.values()];
  }

  /** All of it, as text. */
  encode(): string {
    const list = (recent: Recent): unknown => Array.from(recent.entries(), ([name, { position }]) => [name, position]);
    return JSON.stringify([this.#floor, list(this.#marks), list(this.#rules)]);
  }

  /** `undefined` for what `encode` did not write. */
  static decode(text: string, bounds: MarkBounds): RememberedMarks | undefined {
    const value = parseJson(text);
    if (!Array.isArray(value) || value.length !== 3) return undefined;
    const [floor, marks, rules] = value as readonly unknown[];
    const remembered = new RememberedMarks(bounds);
    if (!isPosition(floor) || !remembered.#marks.load(marks) || !remembered.#rules.load(rules)) return undefined;
    remembered.#floor = floor;
    return remembered;
  }
}

/** Names with the positions that moved them, oldest first, up to a limit. */
class Recent {
  readonly #limit: number;
  readonly #moved = new Map<string, Moved>();
  #weight = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  position(name: string): number {
    return this.#moved.get(name)?.position ?? 0;
  }

  entries(): IterableIterator<[string, Moved]> {
    return this.#moved.entries();
  }

  /** Moves names to a position later than all. @returns the newest position forgotten over it, 0 for none. */
  move(names: ReadonlySet<string>, position: number): number {
    for (const name of names) {
      this.#remove(name);
      this.#add(name, position);
    }
    if (names.size === 0) return 0;
    let dropped = 0;
    for (const [name, moved] of this.#moved) {
      if (!this.#isOver(this.#moved.size, this.#weight) && moved.position > dropped) break;
      this.#remove(name);
      dropped = moved.position;
    }
    return dropped;
  }

  /** What `move` would return, without moving anything. */
  dropped(names: ReadonlySet<string>, position: number): number {
    if (names.size === 0) return 0;
    let size = this.#moved.size;
    let weight = this.#weight;
    for (const name of names) {
      if (this.#moved.has(name)) continue;
      size += 1;
      weight += weightOf(name);
    }
    let dropped = 0;
    for (const [name, moved] of this.#moved) {
      if (names.has(name)) continue;
      // All of one record go together: a mark at or below the floor says nothing any more.
      if (!this.#isOver(size, weight) && moved.position > dropped) return dropped;
      size -= 1;
      weight -= moved.weight;
      dropped = moved.position;
    }
    return this.#isOver(size, weight) ? position : dropped;
  }

  /** Takes a list of names and positions; false, and in no state to be used, for anything else. */
  load(list: unknown): boolean {
    if (!Array.isArray(list)) return false;
    for (const item of list as readonly unknown[]) {
      if (!Array.isArray(item)) return false;
      const [name, position] = item as readonly unknown[];
      if (typeof name !== "string" || !isPosition(position)) return false;
      this.#add(name, position);
    }
    return true;
  }

  #isOver(size: number, weight: number): boolean {
    return size > this.#limit || weight > MAX_WEIGHT;
  }

  #add(name: string, position: number): void {
    const weight = weightOf(name);
    this.#moved.set(name, { position, weight });
    this.#weight += weight;
  }

  #remove(name: string): void {
    this.#weight -= this.#moved.get(name)?.weight ?? 0;
    this.#moved.delete(name);
  }
}

function namesOf({ marks, soft }: RecordBody): { readonly marks: Set<string>; readonly rules: Set<string> } {
  const names = { marks: new Set<string>(), rules: new Set<string>() };
  for (const mark of marks) if (mark.kind !== "key") names[isRule(mark) ? "rules" : "marks"].add(member(mark, soft));
  return names;
}

function member(mark: Mark, soft: boolean): string {
  return (soft ? "s" : "h") + nameOf(mark);
}

/** JSON escapes the quotes of a name once more, which is what makes it longer than its bytes. */
function weightOf(name: string): number {
  return Buffer.byteLength(JSON.stringify(name)) + OVERHEAD;
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

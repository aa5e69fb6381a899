import type { Clock } from "./clock.js";
import { CacheError } from "./errors.js";
import { display, knownOptions, optionError } from "./policy.js";

/** Tells rows of one thing apart by age: the greater is the newer one. */
export type RowVersion = number | bigint | string | Date;

/** Versions in an order of their own. */
export interface RowVersionRule<T> {
  readonly of: (value: T) => RowVersion | null | undefined;
  /** Less than 0 when `a` is older than `b`, as in sorting. @default by number or time; text of digits by number, other text by code units */
  readonly compare?: ((a: RowVersion, b: RowVersion) => number) | undefined;
}

/** What says how old a value is: the version its row carries; null or undefined where it has none. */
export type RowVersionOption<T> = ((value: T) => RowVersion | null | undefined) | RowVersionRule<T>;

/** How long a version is remembered that this process has met; milliseconds. */
const KNOWN_FOR = 60_000;
/** Most of them, by entity. */
const MOST_KNOWN = 4_096;
const DIGITS = /^[+-]?\d+$/;

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function resolveRowVersions<T>(option: RowVersionOption<T> | undefined, clock: Clock): RowVersions | undefined {
  if (option === undefined) return undefined;
  const rule: unknown = typeof option === "function" ? { of: option } : option;
  if (typeof rule !== "object" || rule === null)
    throw optionError("rowVersion", "a function of the value, or one with its `compare`", option);
  knownOptions(rule, ["of", "compare"], "rowVersion");
  const { of, compare = byValue } = rule as Partial<RowVersionRule<T>>;
  if (typeof of !== "function") throw optionError("rowVersion.of", "a function of the value", of);
  if (typeof compare !== "function") throw optionError("rowVersion.compare", "a function of two versions", compare);
  // The values of an entity are its own: whoever asks has them from it.
  return new RowVersions((value) => of(value as T), compare, clock);
}

/**
 * How old the rows of one entity are, and the newest version this process has met of each key lately.
 *
 * What is met is forgotten after a minute: a row that was deleted and is there again begins to count anew.
 */
export class RowVersions {
  readonly #of: (value: unknown) => RowVersion | null | undefined;
  readonly #compare: (a: RowVersion, b: RowVersion) => number;
  readonly #clock: Clock;
  /** The one met longest ago first. */
  readonly #known = new Map<string, { readonly version: RowVersion; readonly until: number }>();

  constructor(
    of: (value: unknown) => RowVersion | null | undefined,
    compare: (a: RowVersion, b: RowVersion) => number,
    clock: Clock,
  ) {
    this.#of = of;
    this.#compare = compare;
    this.#clock = clock;
  }

  /**
   * The version of a value; `undefined` when it has none, as what is not there has none.
   *
   * @throws CacheError `ERR_CACHE_VALUE` for what is no version; whatever the option's function throws.
   */
  versionOf(value: unknown): RowVersion | undefined {
    if (value === undefined || value === null) return undefined;
    const version: unknown = this.#of(value);
    if (version === undefined || version === null) return undefined;
    if (isRowVersion(version)) return version;
    throw new CacheError(
      "ERR_CACHE_VALUE",
      `Expected \`rowVersion\` to return a number, a bigint, text or a date, got \`${display(version)}\``,
    );
  }

  /** Whether one value is an older row than another. Where one of them has no version, nothing is known. */
  isOlder(value: unknown, than: unknown): boolean {
    const a = this.#told(value);
    const b = this.#told(than);
    return a !== undefined && b !== undefined && this.#compare(a, b) < 0;
  }

  /** Whether it is an older row than this process has met under the key. */
  isOutdated(path: string, value: unknown): boolean {
    const known = this.#known.get(path);
    if (known === undefined) return false;
    if (this.#clock.now() >= known.until) {
      this.#known.delete(path);
      return false;
    }
    const version = this.#told(value);
    return version !== undefined && this.#compare(version, known.version) < 0;
  }

  /** Remembers its version, unless a newer one was met. */
  met(path: string, value: unknown): void {
    const version = this.#told(value);
    if (version === undefined || this.isOutdated(path, value)) return;
    this.#known.delete(path);
    this.#known.set(path, { version, until: this.#clock.now() + KNOWN_FOR });
    if (this.#known.size <= MOST_KNOWN) return;
    const oldest = this.#known.keys().next();
    if (oldest.done !== true) this.#known.delete(oldest.value);
  }

  /** As `versionOf`; a stored value of another shape may have none. */
  #told(value: unknown): RowVersion | undefined {
    try {
      return this.versionOf(value);
    } catch {
      // Whoever stores a value has asked for its version before, and told of the error.
      return undefined;
    }
  }
}

function isRowVersion(version: unknown): version is RowVersion {
  if (typeof version === "number") return !Number.isNaN(version);
  if (version instanceof Date) return !Number.isNaN(version.getTime());
  return typeof version === "bigint" || typeof version === "string";
}

/** Versions of which one is a number and the other is text that is none say nothing of one another. */
function byValue(a: RowVersion, b: RowVersion): number {
  const [left, right] = [comparable(a), comparable(b)];
  if ((typeof left === "string") !== (typeof right === "string")) return 0;
  if (left < right) return -1;
  return left > right ? 1 : 0;
}

function comparable(version: RowVersion): number | bigint | string {
  if (version instanceof Date) return version.getTime();
  // Drivers give large integers as text.
  return typeof version === "string" && DIGITS.test(version) ? BigInt(version.replace("+", "")) : version;
}

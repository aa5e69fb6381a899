import type { Entity } from "../api.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";
import type { WhenFull } from "./appender.js";
import { functionSink } from "./function-sink.js";
import type { Journal } from "./journal.js";
import type { ApplyChanges, CounterSink, RowId, Sink } from "./sink.js";

/** What write-behind and counters have in common. */
export interface FlushOptions {
  /** Names it in its journal, at its source and in events; the same in every process, for ever. */
  name: string;
  /** Where operations wait until they are applied. */
  journal: Journal;
  /** How long operations wait until they are applied, about. @default "1s" */
  flushEvery?: Duration | undefined;
  /** Most operations applied together; so many are not waited for. From 1 to 10000. @default 500 */
  maxBatch?: number | undefined;
  /** Most operations, and dead letters, in the journal. @default 100000 */
  maxPending?: number | undefined;
  /**
   * A write that finds the journal full: `write-through` applies what is there and resolves when its own is applied too, `wait`
   * waits for room, `reject` throws `ERR_CACHE_OVERLOADED`, as the others do after `patience`. @default "write-through"
   */
  whenFull?: WhenFull | undefined;
  /** How long one call of the journal may take. @default "2s" */
  timeout?: Duration | undefined;
  /** How long one batch may take the source. @default "30s" */
  sinkTimeout?: Duration | undefined;
  /** How long a write waits for room, and `close` for the last flush. @default "10s" */
  patience?: Duration | undefined;
}

export interface WriteBehindOptions<Id extends RowId, T> extends FlushOptions {
  /** Where rows are written to, each once; or `apply`. */
  sink?: Sink | undefined;
  /** Writes rows to a source without a sink of its own, at least once. */
  apply?: ApplyChanges | undefined;
  /** Reads a row from the source; `undefined` when there is none. */
  load: (id: Id) => Promise<T | undefined>;
  /** The entity that keeps the rows, declared without `load`. @default keys `[name, id]` of the cache */
  entity?: Entity<Id, T | undefined> | undefined;
  /** Most bytes of one operation. @default 1048576 */
  maxRowBytes?: number | undefined;
}

export interface CounterOptions extends Omit<FlushOptions, "name"> {
  /** Where counts are kept. */
  sink: CounterSink;
  /** Whether increments may be negative. @default false */
  signed?: boolean | undefined;
}

/** What each option is when it is not given. */
export const WRITE_BEHIND_DEFAULTS: {
  flushEvery: string;
  maxBatch: number;
  maxPending: number;
  whenFull: WhenFull;
  timeout: string;
  sinkTimeout: string;
  patience: string;
  maxRowBytes: number;
} = {
  flushEvery: "1s",
  maxBatch: 500,
  maxPending: 100_000,
  whenFull: "write-through",
  timeout: "2s",
  sinkTimeout: "30s",
  patience: "10s",
  maxRowBytes: 1_048_576,
};

const MOST_BATCH = 10_000;
const FLUSH_FIELDS = [
  "name",
  "journal",
  "flushEvery",
  "maxBatch",
  "maxPending",
  "whenFull",
  "timeout",
  "sinkTimeout",
  "patience",
];

export interface ResolvedFlush {
  readonly name: string;
  readonly journal: Journal;
  readonly flushEvery: number;
  readonly maxBatch: number;
  readonly maxPending: number;
  readonly whenFull: WhenFull;
  readonly timeout: number;
  readonly sinkTimeout: number;
  readonly patience: number;
}

export interface ResolvedWriteBehind<Id extends RowId, T> {
  readonly flush: ResolvedFlush;
  readonly sink: Sink;
  readonly load: (id: Id) => Promise<T | undefined>;
  readonly entity: Entity<Id, T | undefined> | undefined;
  readonly maxRowBytes: number;
}

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function resolveWriteBehind<Id extends RowId, T>(
  options: WriteBehindOptions<Id, T>,
): ResolvedWriteBehind<Id, T> {
  knownOptions(options, [...FLUSH_FIELDS, "sink", "apply", "load", "entity", "maxRowBytes"], "writeBehind");
  const { sink, apply, load, entity } = options;
  if ((sink === undefined) === (apply === undefined)) {
    throw optionError("sink", "given, or `apply` instead of it", sink === undefined ? sink : "both");
  }
  if (apply !== undefined && typeof apply !== "function") throw optionError("apply", "a function", apply);
  if (sink !== undefined) requireMethods(sink, ["apply"], "sink", "a sink, as `postgresSink` makes it");
  if (typeof load !== "function") throw optionError("load", "a function", load);
  if (entity !== undefined) {
    requireMethods(
      entity,
      ["getOrLoad", "writeThrough", "invalidate"],
      "entity",
      "an entity, in its scope if it has one",
    );
  }
  return {
    flush: resolveFlush(options),
    // One of the two is there.
    sink: sink ?? functionSink(apply as ApplyChanges),
    load,
    entity,
    maxRowBytes: wholeNumber(options.maxRowBytes ?? WRITE_BEHIND_DEFAULTS.maxRowBytes, "maxRowBytes", 1),
  };
}

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function resolveCounter(name: string, options: CounterOptions): ResolvedFlush & { readonly signed: boolean } {
  knownOptions(options, [...FLUSH_FIELDS.slice(1), "sink", "signed"], "counter");
  requireMethods(options.sink, ["apply", "read"], "sink", "a sink of counts, as `postgresCounts` makes it");
  const { signed } = options;
  if (signed !== undefined && typeof signed !== "boolean") throw optionError("signed", "true or false", signed);
  return { ...resolveFlush({ ...options, name }), signed: signed === true };
}

function resolveFlush(options: FlushOptions): ResolvedFlush {
  const { name, journal, whenFull = WRITE_BEHIND_DEFAULTS.whenFull } = options;
  if (typeof name !== "string" || name === "") throw optionError("name", "text that is not empty", name);
  requireMethods(journal, ["open"], "journal", "a journal, as `redisJournal` or `lmdbJournal` makes it");
  if (!["write-through", "wait", "reject"].includes(whenFull)) {
    throw optionError("whenFull", "write-through, wait or reject", whenFull);
  }
  const maxBatch = wholeNumber(options.maxBatch ?? WRITE_BEHIND_DEFAULTS.maxBatch, "maxBatch", 1);
  if (maxBatch > MOST_BATCH) throw optionError("maxBatch", `an integer from 1 to ${MOST_BATCH}`, maxBatch);
  return {
    name,
    journal,
    whenFull,
    maxBatch,
    flushEvery: longer(options.flushEvery ?? WRITE_BEHIND_DEFAULTS.flushEvery, "flushEvery"),
    maxPending: wholeNumber(options.maxPending ?? WRITE_BEHIND_DEFAULTS.maxPending, "maxPending", 1),
    timeout: longer(options.timeout ?? WRITE_BEHIND_DEFAULTS.timeout, "timeout"),
    sinkTimeout: longer(options.sinkTimeout ?? WRITE_BEHIND_DEFAULTS.sinkTimeout, "sinkTimeout"),
    patience: longer(options.patience ?? WRITE_BEHIND_DEFAULTS.patience, "patience"),
  };
}

function longer(value: Duration, option: string): number {
  const ms = toMilliseconds(value, option);
  if (ms === 0) throw optionError(option, "longer than 0", value);
  return ms;
}

function requireMethods(given: unknown, names: readonly string[], option: string, rule: string): void {
  const isObject = typeof given === "object" && given !== null;
  if (isObject && names.every((name) => typeof Reflect.get(given, name) === "function")) return;
  throw optionError(option, rule, given);
}

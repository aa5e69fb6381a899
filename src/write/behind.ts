import { seal } from "../entries/seal.js";
import { CacheError } from "../errors.js";
import { encodeKey, type KeyInput, type Segment } from "../keys.js";
import { display, knownOptions, wholeNumber } from "../policy.js";
import { Lane, type DeadLetters, type LaneHome, type WriteBehindStats } from "./behind-lane.js";
import { resolveWriteBehind, type WriteBehindOptions } from "./behind-options.js";
import { overlaid, pendingOf } from "./operation.js";
import type { Change, RowId } from "./sink.js";

/** Options of one write. */
export interface WriteOptions {
  /** The version of the row it was made from; 0: there was no row. Without it the write holds whatever the row is by then. */
  base?: number | undefined;
  /** Names this write: one that is tried again under its name, within minutes, is done once. @default a random one */
  opId?: string | undefined;
}

/** A write that the journal has. */
export interface Written {
  readonly opId: string;
  /** The version that the row will have; `undefined` without `base`. */
  readonly version: number | undefined;
}

/**
 * Rows that are written to a journal, and from there to their source. See docs/write-behind.md for who sees what when, and
 * for what may be lost with which journal.
 */
export interface WriteBehind<Id extends RowId, T> extends AsyncDisposable {
  readonly name: string;
  /** Writes the whole row. */
  put(id: Id, value: T, options?: WriteOptions): Promise<Written>;
  /** Writes some fields of a row that is there. */
  patch(id: Id, fields: Partial<T>, options?: WriteOptions): Promise<Written>;
  delete(id: Id, options?: WriteOptions): Promise<Written>;
  /** The row as it will be: what is pending over what is cached or loaded; `undefined` when there is, or will be, none. */
  get(id: Id): Promise<T | undefined>;
  /** Applies all that was acknowledged before, to whomever. @throws what the source throws */
  flush(): Promise<void>;
  /** As the journal has it now. */
  stats(): Promise<WriteBehindStats>;
  readonly deadLetters: DeadLetters;
  /** Flushes if that goes in time, and gives everything back; what is left waits in the journal. Twice is once. */
  close(): Promise<void>;
}

/** What a write-behind needs of its cache. */
export interface BehindHome extends LaneHome {
  getOrLoad(key: KeyInput, load: () => Promise<unknown>): Promise<unknown>;
  writeThrough(key: KeyInput, write: () => Promise<unknown>): Promise<unknown>;
  /** Does not reject: what is not acknowledged is sent again until it is. */
  invalidateSoon(key: KeyInput): Promise<void>;
}

/** How rows are kept in the cache. */
interface Rows<Id, T> {
  getOrLoad(id: Id, load: () => Promise<T | undefined>): Promise<T | undefined>;
  writeThrough(id: Id, write: () => Promise<T | undefined>): Promise<unknown>;
  forget(id: Id): Promise<void>;
}

const NO_OPTIONS = {};

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function openWriteBehind<Id extends RowId, T>(
  home: BehindHome,
  options: WriteBehindOptions<Id, T>,
): WriteBehind<Id, T> {
  const { flush, sink, load, entity, maxRowBytes } = resolveWriteBehind(options);
  const rows: Rows<Id, T> =
    entity === undefined
      ? rowsOf(home, flush.name)
      : {
          getOrLoad: (id, loader) => entity.getOrLoad(id, loader),
          writeThrough: (id, write) => entity.writeThrough(id, write),
          // Told by an event, and sent again until it is acknowledged.
          forget: (id) => entity.invalidate(id).then(nothing, nothing),
        };
  const lane = new Lane(home, flush, sink, async (ids) => {
    // What is in the log was written by `put`, `patch` and `delete` of this name.
    await Promise.all(ids.map((id) => rows.forget(id as Id)));
  });
  return new Behind(lane, rows, load, maxRowBytes);
}

class Behind<Id extends RowId, T> implements WriteBehind<Id, T> {
  readonly name: string;
  readonly deadLetters: DeadLetters;
  readonly #lane: Lane;
  readonly #rows: Rows<Id, T>;
  readonly #load: (id: Id) => Promise<T | undefined>;
  readonly #maxRowBytes: number;

  constructor(lane: Lane, rows: Rows<Id, T>, load: (id: Id) => Promise<T | undefined>, maxRowBytes: number) {
    this.name = lane.name;
    this.deadLetters = lane.letters;
    this.#lane = lane;
    this.#rows = rows;
    this.#load = load;
    this.#maxRowBytes = maxRowBytes;
  }

  /** The append is the commit: the cache takes the row under the writer's lease, so racing writers leave the last of them or none. */
  async put(id: Id, value: T, options: WriteOptions = NO_OPTIONS): Promise<Written> {
    if (value === undefined) throw new CacheError("ERR_CACHE_VALUE", "Expected a row, got `undefined`: use `delete`");
    // One copy for the journal and the cache, made before anything is awaited: they must not take two states of what its giver changes.
    const row = seal(value).value as T;
    let written: Written | undefined;
    await this.#rows.writeThrough(id, async () => {
      written = await this.#append("put", id, row, options);
      return row;
    });
    // It rejects when the append did.
    return written as Written;
  }

  async patch(id: Id, fields: Partial<T>, options: WriteOptions = NO_OPTIONS): Promise<Written> {
    const given: unknown = fields;
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw new CacheError(
        "ERR_CACHE_VALUE",
        `Expected the fields of a patch to be an object, got \`${display(given)}\``,
      );
    }
    return this.#appendAndForget("patch", id, fields, options);
  }

  delete(id: Id, options: WriteOptions = NO_OPTIONS): Promise<Written> {
    return this.#appendAndForget("delete", id, undefined, options);
  }

  async get(id: Id): Promise<T | undefined> {
    this.#lane.checkOpen();
    return this.#rows.getOrLoad(id, async () => {
      // The journal first: an operation that is applied between the two is then seen twice, which changes nothing;
      // the other way round it would not be seen at all.
      const pending = pendingOf((await this.#lane.pending(keyOf(id))).own.bodies);
      if (pending.state === "present") return pending.value as T;
      return pending.state === "absent" ? undefined : (overlaid(pending, await this.#load(id)) as T | undefined);
    });
  }

  flush(): Promise<void> {
    return this.#lane.flush();
  }

  stats(): Promise<WriteBehindStats> {
    return this.#lane.look();
  }

  close(): Promise<void> {
    return this.#lane.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #appendAndForget(kind: Change["kind"], id: Id, value: unknown, options: WriteOptions): Promise<Written> {
    try {
      return await this.#append(kind, id, value, options);
    } finally {
      // It may be in the journal though it failed.
      await this.#rows.forget(id);
    }
  }

  async #append(kind: Change["kind"], id: Id, value: unknown, options: WriteOptions): Promise<Written> {
    knownOptions(options, ["base", "opId"], "call");
    const { base } = options;
    if (base !== undefined) wholeNumber(base, "base", 0);
    const operation = { kind, id, base, value };
    const opId = await this.#lane.append(keyOf(id), 0, operation, options.opId, this.#maxRowBytes);
    return { opId, version: base === undefined ? undefined : base + 1 };
  }
}

function rowsOf<Id extends RowId, T>(home: BehindHome, name: string): Rows<Id, T> {
  const cacheKey = (id: Id): KeyInput => [name, ...segmentsOf(id)];
  return {
    // What is kept under these keys is only ever what `load` and `put` gave.
    getOrLoad: (id, load) => home.getOrLoad(cacheKey(id), load) as Promise<T | undefined>,
    writeThrough: (id, write) => home.writeThrough(cacheKey(id), write),
    forget: (id) => home.invalidateSoon(cacheKey(id)),
  };
}

/** The key of a row in its journal. @throws CacheError `ERR_CACHE_KEY` */
export function keyOf(id: RowId): string {
  return encodeKey(segmentsOf(id));
}

function segmentsOf(id: RowId): readonly Segment[] {
  return typeof id === "object" ? id : [id];
}

function nothing(): void {
  // A promise's end, and no more.
}

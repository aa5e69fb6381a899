/** Who changed a row: a writer that goes through the API, or plain SQL, of which no worker is told but by the database. */
export type Writer = "api" | "out-of-band";

/** A committed version, as the driver learned of it. */
export interface Write {
  readonly version: number;
  /** When the writer's answer (or its COMMIT's) arrived: from here on nobody may be told an older version. */
  readonly ackedAt: number;
  readonly by: Writer;
  /** The worker that took the write; `undefined` for SQL. */
  readonly worker: number | undefined;
}

/** How far behind a read may be, and still be what the cache promises. */
export interface Bounds {
  /** A write through another worker: milliseconds until every other worker has heard of it. */
  readonly otherWorker: number;
  /** A write past the API: milliseconds until every worker has heard of it. */
  readonly outOfBand: number;
}

export interface StaleReport {
  /** Reads of rows with a known write, each compared with the database's history. */
  readonly checked: number;
  /** stale = explained.outOfBand + explained.withinBound + unexplained. */
  readonly stale: number;
  readonly explained: { readonly outOfBand: number; readonly withinBound: number };
  /** Breaks what the cache promises. */
  readonly unexplained: number;
  /** Milliseconds, the larger of the two below. */
  readonly largestStalenessMs: number;
  readonly largestByWriterMs: Readonly<Record<Writer, number>>;
  /** The first unexplained ones, in words. */
  readonly examples: readonly string[];
}

/** The version of a row that was deleted: newer than any other. The version of one not yet there is 0. */
export const DELETED: number = Number.MAX_SAFE_INTEGER;

/** Rows whose writes are remembered; beyond that the row written longest ago is forgotten, and its reads are not checked. */
const MAX_ROWS = 50_000;
/** Writes remembered per row, the newest. */
const MAX_WRITES = 32;
const MAX_EXAMPLES = 5;

/**
 * Compares what reads were told with what had been committed when they began.
 *
 * A read that began at t and was told version v is stale if a version above v was acknowledged before t. How stale: t minus the
 * first acknowledgement of a version above v. The time of a write is taken when its answer is here, and the time of a read before
 * its request leaves, both on this process's monotonic clock: whatever is counted really was wrong, and a write still on its
 * way counts for nobody.
 *
 * A stale read is the API's if it misses any write through the API (that write has told the cache at once), else plain SQL's.
 */
export class StalenessChecker {
  readonly #rows = new Map<number, Write[]>();
  readonly #maxRows: number;
  #bounds: Bounds;
  #checked = 0;
  #outOfBand = 0;
  #withinBound = 0;
  #unexplained = 0;
  #largest: Record<Writer, number> = { api: 0, "out-of-band": 0 };
  #examples: string[] = [];

  constructor(bounds: Bounds, maxRows: number = MAX_ROWS) {
    this.#bounds = bounds;
    this.#maxRows = maxRows;
  }

  /** Begins a new report; what is known of the rows stays. */
  restart(bounds: Bounds): void {
    this.#bounds = bounds;
    this.#checked = 0;
    this.#outOfBand = 0;
    this.#withinBound = 0;
    this.#unexplained = 0;
    this.#largest = { api: 0, "out-of-band": 0 };
    this.#examples = [];
  }

  /** Whether a read of this row can be checked. */
  knows(row: number): boolean {
    return this.#rows.has(row);
  }

  wrote(row: number, write: Write): void {
    const writes = this.#rows.get(row) ?? [];
    // Last in the map is the row written last.
    this.#rows.delete(row);
    this.#rows.set(row, writes);
    // Two writers' answers may arrive in the other order than their versions.
    let at = writes.length;
    while (at > 0 && (writes[at - 1] as Write).version > write.version) {
      at -= 1;
    }
    writes.splice(at, 0, write);
    if (writes.length > MAX_WRITES) {
      writes.shift();
    }
    if (this.#rows.size > this.#maxRows) {
      const oldest = this.#rows.keys().next();
      if (oldest.done !== true) {
        this.#rows.delete(oldest.value);
      }
    }
  }

  /** Checks what a read through `worker` that began at `startedAt` was told. */
  read(row: number, version: number, startedAt: number, worker: number): void {
    const writes = this.#rows.get(row);
    if (writes === undefined) {
      return;
    }
    this.#checked += 1;
    const missed = writes.filter((write) => write.version > version && write.ackedAt < startedAt);
    if (missed.length > 0) {
      this.#stale(row, version, startedAt, worker, missed);
    }
  }

  /** The rows written last, newest first. */
  recent(limit: number): readonly number[] {
    return [...this.#rows.keys()].reverse().slice(0, limit);
  }

  /** Whose write it is that an answer of `version` misses, when the database has `current`. */
  blame(row: number, version: number, current: number): Writer {
    const missed = (this.#rows.get(row) ?? []).filter((write) => write.version > version && write.version <= current);
    return missed.length > 0 && missed.every((write) => write.by === "out-of-band") ? "out-of-band" : "api";
  }

  report(): StaleReport {
    return {
      checked: this.#checked,
      stale: this.#outOfBand + this.#withinBound + this.#unexplained,
      explained: { outOfBand: this.#outOfBand, withinBound: this.#withinBound },
      unexplained: this.#unexplained,
      largestStalenessMs: Math.max(this.#largest.api, this.#largest["out-of-band"]),
      largestByWriterMs: { ...this.#largest },
      examples: [...this.#examples],
    };
  }

  #stale(row: number, version: number, startedAt: number, worker: number, missed: readonly Write[]): void {
    const throughApi = missed.filter((write) => write.by === "api");
    const by: Writer = throughApi.length > 0 ? "api" : "out-of-band";
    const relevant = throughApi.length > 0 ? throughApi : missed;
    const staleness = startedAt - Math.min(...relevant.map((write) => write.ackedAt));
    this.#largest[by] = Math.max(this.#largest[by], staleness);
    // A worker's own memory forgets before the write is answered: there is no delay to allow for.
    const own = throughApi.some((write) => write.worker === worker);
    if (by === "out-of-band" && staleness <= this.#bounds.outOfBand) {
      this.#outOfBand += 1;
    } else if (by === "api" && !own && staleness <= this.#bounds.otherWorker) {
      this.#withinBound += 1;
    } else {
      this.#unexplained += 1;
      if (this.#examples.length < MAX_EXAMPLES) {
        const newest = missed.at(-1);
        this.#examples.push(
          `${row < 0 ? `project ${-row}` : `issue ${row}`}: worker ${worker} answered version ${version}, ${staleness.toFixed(1)} ms after ` +
            `a write (${by}${own ? ", through the same worker" : ""}); the newest known was ${newest?.version === DELETED ? "its deletion" : `version ${newest?.version ?? 0}`}`,
        );
      }
    }
  }
}

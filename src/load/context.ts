import type { LoaderContext } from "../api.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { TagInput } from "../dependency-tag.js";
import type { Demand } from "./gate.js";

/** How `ctx.fail(error)` travels through the loader's own stack to the load; it never reaches a caller. */
export class FailSignal {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

export interface Previous {
  readonly value: unknown;
  readonly etag: string | undefined;
  readonly age: number;
}

/** What one run of a loader decided about its entry, and the context it was given. */
export class LoadContext implements LoaderContext {
  readonly key: string;
  readonly previous: Previous | undefined;
  /** Who waits for this load. */
  readonly demand: Demand;
  readonly #signal: () => AbortSignal;
  readonly #tagPaths: (tag: TagInput) => readonly string[];
  readonly #release: (() => void) | undefined;
  readonly decidedTags: string[] = [];
  decidedTtl: number | undefined;
  decidedEtag: string | undefined;
  skipped = false;
  unchanged = false;

  constructor(init: {
    key: string;
    previous: Previous | undefined;
    signal: () => AbortSignal;
    demand: Demand;
    tagPaths: (tag: TagInput) => readonly string[];
    /** Absent for a load that has no place of its own. */
    release?: (() => void) | undefined;
  }) {
    this.key = init.key;
    this.previous = init.previous;
    this.demand = init.demand;
    this.#signal = init.signal;
    this.#tagPaths = init.tagPaths;
    this.#release = init.release;
    // Loaders take these apart (`({ tags, ttl }) => …`), so they must not depend on `this` of the call.
    this.ttl = this.ttl.bind(this);
    this.tags = this.tags.bind(this);
    this.etag = this.etag.bind(this);
    this.skip = this.skip.bind(this);
    this.release = this.release.bind(this);
    this.notModified = this.notModified.bind(this);
  }

  /** Made on first use: most loaders never look at it. */
  get signal(): AbortSignal {
    return this.#signal();
  }

  ttl(ttl: Duration): void {
    this.decidedTtl = toMilliseconds(ttl, "context.ttl");
  }

  tags(...tags: readonly TagInput[]): void {
    for (const tag of tags) this.decidedTags.push(...this.#tagPaths(tag));
  }

  etag(etag: string): void {
    if (typeof etag !== "string")
      throw new CacheError("ERR_CACHE_OPTION", `Expected \`context.etag\` to get a string, got \`${typeof etag}\``);
    this.decidedEtag = etag;
  }

  skip(): void {
    this.skipped = true;
  }

  release(): void {
    this.#release?.();
  }

  notModified<T>(): T {
    if (this.previous === undefined) {
      throw new CacheError(
        "ERR_CACHE_LOAD",
        `\`context.notModified()\` was called for ${this.key}, of which nothing is stored`,
      );
    }
    this.unchanged = true;
    // The caller says what it stored under this key: nobody else can know.
    return this.previous.value as T;
  }

  fail(error: unknown): never {
    throw new FailSignal(error);
  }
}

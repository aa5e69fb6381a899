import type { Timer } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { ChangeFeed, ChangeSink, ChangeTarget, FeedStats, OpenFeed } from "../feed/change-feed.js";

export interface MemoryFeedOptions {
  /** @default "5s" */
  maxStaleness?: Duration | undefined;
  /** Begins barriers by itself, five in `maxStaleness`; without it only `barrier()` does. @default true */
  barriers?: boolean | undefined;
  /** Publishes a change when it is delivered, seen or not. It is wrong: tests of what sits on a feed must notice. @default false */
  atOnce?: boolean | undefined;
}

/** A transaction of a source, whose steps a test takes one by one. */
export interface MemoryCommit {
  /** The feed hears of it. */
  deliver(): void;
  /** Readers of the source see it. */
  reveal(): void;
  /** Resolves when it is published. */
  readonly published: Promise<void>;
}

interface Promised {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

interface Pending {
  readonly position: number;
  readonly targets: readonly ChangeTarget[];
  delivered: boolean;
  visible: boolean;
  state: "waiting" | "publishing" | "published";
  readonly done: () => void;
  readonly seen: Promised;
}

/** Longest wait before a publication is tried again, in milliseconds. */
const RETRY = 100;

/**
 * A change feed without a database. Commit, event and visibility are steps of their own, as they are in one: the event
 * may be here before a reader sees the row. For tests, and as the smallest whole example of a `ChangeFeed`.
 */
export class MemoryFeed implements ChangeFeed {
  readonly kind = "memory";
  readonly maxStaleness: number;
  readonly #options: MemoryFeedOptions;
  readonly #pending = new Map<number, Pending>();
  #barriers: { readonly at: number; readonly waitsFor: ReadonlySet<number> }[] = [];
  #position = 0;
  #sink: ChangeSink | undefined;
  #timers = new Set<Timer>();
  #closed = false;
  #paused = false;
  #owesForget = false;

  constructor(options: MemoryFeedOptions = {}) {
    this.#options = options;
    this.maxStaleness = toMilliseconds(options.maxStaleness ?? 5_000, "maxStaleness");
  }

  open(sink: ChangeSink): OpenFeed {
    if (this.#sink !== undefined)
      throw new CacheError("ERR_CACHE_OPTION", "Expected `feed` to feed one cache, got two");
    this.#sink = sink;
    if (this.#options.barriers ?? true) this.#every(this.maxStaleness / 5, () => this.barrier());
    sink.tell({ what: "connected" });
    return {
      stats: (): FeedStats => ({ position: this.#position, pending: this.#pending.size }),
      close: async () => {
        this.#closed = true;
        for (const timer of this.#timers) timer.cancel();
      },
    };
  }

  /** A transaction that is in the source's log, and that nobody has heard of or seen. */
  commit(targets: readonly ChangeTarget[]): MemoryCommit {
    this.#position += 1;
    const position = this.#position;
    let done: () => void = () => undefined;
    const published = new Promise<void>((resolve) => {
      done = resolve;
    });
    const pending: Pending = {
      position,
      targets,
      delivered: false,
      visible: false,
      state: "waiting",
      done,
      seen: promised(),
    };
    this.#pending.set(position, pending);
    const step = (name: "delivered" | "visible"): void => {
      pending[name] = true;
      if (name === "visible") pending.seen.resolve();
      this.#publish(pending);
    };
    return { deliver: () => step("delivered"), reveal: () => step("visible"), published };
  }

  /** All three steps. Resolves when the change is published. */
  changed(targets: readonly ChangeTarget[]): Promise<void> {
    const commit = this.commit(targets);
    commit.reveal();
    commit.deliver();
    return commit.published;
  }

  /** Takes the time; when all that is visible now is published, everything before that time is complete. */
  barrier(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#paused || this.#closed) return;
    const waitsFor = new Set(
      [...this.#pending.values()].filter(({ visible }) => visible).map(({ position }) => position),
    );
    this.#barriers.push({ at: sink.clock.now(), waitsFor });
    this.#settle();
  }

  /** Hears nothing and begins no barrier until `resume`: a consumer that is cut off. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const pending of this.#pending.values()) this.#publish(pending);
    this.#settle();
  }

  /** What is not published yet is never told: the feed has lost its place in the log, and says so. */
  async lose(): Promise<void> {
    for (const { done } of this.#pending.values()) done();
    const unseen = [...this.#pending.values()].filter(({ visible }) => !visible).map(({ seen }) => seen.promise);
    this.#pending.clear();
    this.#barriers = [];
    this.#owesForget = true;
    // Before a reader of the source sees what is lost, a load would store the old row after it.
    await Promise.all(unseen);
    await this.#sink?.forget();
    this.#owesForget = false;
  }

  #publish(pending: Pending): void {
    const sink = this.#sink;
    const ready = pending.delivered && (pending.visible || (this.#options.atOnce ?? false));
    if (sink === undefined || this.#closed || this.#paused || !ready || pending.state !== "waiting") return;
    pending.state = "publishing";
    sink.publish(pending.targets).then(
      () => {
        pending.state = "published";
        this.#pending.delete(pending.position);
        pending.done();
        this.#settle();
      },
      (error: unknown) => {
        sink.tell({ what: "publish-failed", error });
        pending.state = "waiting";
        this.#after(RETRY, () => this.#publish(pending));
      },
    );
  }

  #settle(): void {
    if (this.#owesForget || this.#paused) return;
    const over = this.#barriers.findLastIndex(({ waitsFor }) => [...waitsFor].every((one) => !this.#pending.has(one)));
    const newest = this.#barriers[over];
    if (newest === undefined) return;
    this.#barriers.splice(0, over + 1);
    this.#sink?.complete(newest.at);
  }

  #every(ms: number, what: () => void): void {
    what();
    this.#after(ms, () => this.#every(ms, what));
  }

  #after(ms: number, what: () => void): void {
    const sink = this.#sink;
    if (sink === undefined || this.#closed) return;
    const timer = sink.clock.after(ms, () => {
      this.#timers.delete(timer);
      what();
    });
    this.#timers.add(timer);
  }
}

function promised(): Promised {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

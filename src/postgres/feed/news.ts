import type { Clock } from "../../clock.js";
import type { ChangeSink, FeedNews } from "../../feed/change-feed.js";

/** The same thing is told once in so many milliseconds. */
const REPEAT = 10_000;
const MAX_REMEMBERED = 200;

/** Tells a cache's listeners, and not the same thing a thousand times a second. */
export class News {
  readonly #clock: Clock;
  readonly #tell: (news: FeedNews) => void;
  readonly #told = new Map<string, number>();
  /** The newest that is bad, for `status`. */
  last: FeedNews | undefined;

  constructor(sink: Pick<ChangeSink, "clock" | "tell">) {
    this.#clock = sink.clock;
    this.#tell = (news) => sink.tell(news);
  }

  /** Told each time. */
  readonly tell = (news: FeedNews): void => {
    if (news.error !== undefined) this.last = news;
    this.#tell(news);
  };

  /** Told now and then. */
  readonly repeat = (news: FeedNews): void => {
    const what = `${news.what} ${JSON.stringify(news.detail)} ${messageOf(news.error)}`;
    const now = this.#clock.now();
    const told = this.#told.get(what);
    if (told !== undefined && now - told < REPEAT) return;
    this.#told.delete(what);
    this.#told.set(what, now);
    if (this.#told.size > MAX_REMEMBERED)
      for (const oldest of [...this.#told.keys()].slice(0, 1)) this.#told.delete(oldest);
    this.tell(news);
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { systemClock } from "../../src/clock.js";
import type { ChangeSink, ChangeTarget, FeedNews, OpenFeed } from "../../src/feed/change-feed.js";
import { postgresFeed, type PostgresFeed, type PostgresFeedOptions } from "../../src/postgres/feed.js";

/** What the processes of one cache share, as far as a feed can tell. */
export class Shared {
  readonly notes: Map<string, string> = new Map();
  /** Away: nothing is acknowledged. */
  away: boolean = false;
}

/** A process of a cache, that only writes down what its feed tells it. */
export class Listener {
  readonly feed: PostgresFeed;
  readonly published: ChangeTarget[] = [];
  readonly news: FeedNews[] = [];
  readonly open: OpenFeed;
  forgets: number = 0;
  /** Its publications fail, and nothing else does. */
  refuses: boolean = false;
  completeAt: number = Number.NEGATIVE_INFINITY;

  constructor(
    source: { readonly server: { readonly url: string } },
    shared: Shared,
    options: Partial<PostgresFeedOptions> & { tables?: (feed: PostgresFeed) => void; cacheName?: string } = {},
  ) {
    const { tables, cacheName, ...rest } = options;
    this.feed = postgresFeed({ connect: source.server.url, maxStaleness: 500, ...rest });
    tables?.(this.feed);
    const acknowledged = async (): Promise<void> => {
      if (shared.away) throw new Error("The shared tier is away");
    };
    const sink: ChangeSink = {
      cacheName: cacheName ?? "crm",
      clock: systemClock,
      publish: async (targets) => {
        await acknowledged();
        if (this.refuses) throw new Error("Refused");
        this.published.push(...targets);
      },
      complete: (at) => (this.completeAt = Math.max(at, this.completeAt)),
      forget: async () => {
        await acknowledged();
        this.forgets += 1;
      },
      catchUp: async () => !shared.away,
      readNote: async (name) => (shared.away ? undefined : shared.notes.get(name)),
      writeNote: async (name, text) => {
        await acknowledged();
        shared.notes.set(name, text);
      },
      tell: (news) => this.news.push(news),
    };
    this.open = this.feed.open(sink);
  }

  get role(): unknown {
    return this.open.stats()["role"];
  }

  /** Waits until everything committed so far is published, or was published by another. */
  async settle(): Promise<void> {
    await this.feed.wait(await this.feed.token(), { timeout: 20_000 });
  }

  /** What was published since the last time it was asked. */
  take(): ChangeTarget[] {
    return this.published.splice(0);
  }

  heard(what: string): boolean {
    return this.news.some((one) => one.what === what);
  }
}

/** Asks until it is so. @throws Error after twenty seconds. */
export async function until(what: () => boolean | Promise<boolean>, name: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`Not within 20 s: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

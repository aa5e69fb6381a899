import { describe, expect, it, onTestFinished } from "vitest";

import { createCache, memory, type Cache, type CacheEvent, type ChangeFeed, type ChangeSink } from "../src/index.js";
import type { CacheOptions } from "../src/options.js";
import { chaos, FakeClock, SharedMemory } from "../src/testing/index.js";

/** B, in milliseconds. */
const BOUND = 1_000;

interface Fed {
  readonly cache: Cache;
  readonly sink: ChangeSink;
  readonly isClosed: () => boolean;
}

/** A cache whose feed does what the test says, by its sink. */
function fed(clock: FakeClock, options: CacheOptions = {}): Fed {
  let sink: ChangeSink | undefined;
  let closed = false;
  const feed: ChangeFeed = {
    kind: "test",
    maxStaleness: BOUND,
    open(given) {
      sink = given;
      return {
        stats: () => ({ lag: 7 }),
        close: async () => {
          closed = true;
        },
      };
    },
  };
  const cache = createCache({ name: "fed", clock, jitter: 0, feed, ...options });
  onTestFinished(async () => {
    const closing = cache.close();
    await clock.advance(10_000);
    await closing;
  });
  return { cache, sink: sink as ChangeSink, isClosed: () => closed };
}

/** Counts the loads of a value that the test changes. */
function source(): { value: string; loads: number; readonly load: () => string } {
  const made = {
    value: "v1",
    loads: 0,
    load: () => {
      made.loads += 1;
      return made.value;
    },
  };
  return made;
}

describe("a fed entry", () => {
  it("is believed for the bound after its own load, and then only while the feed is complete", async () => {
    const clock = new FakeClock();
    const { cache, sink } = fed(clock);
    const rows = source();
    const read = (): Promise<string> => cache.getOrLoad("k", rows.load);
    await read();
    await clock.advance(BOUND);
    await read();
    expect(rows.loads).toBe(1);
    await clock.advance(1);
    await read();
    expect(rows.loads).toBe(2);
    for (let beat = 0; beat < 20; beat += 1) {
      await clock.advance(BOUND / 2);
      sink.complete(clock.now());
      await read();
    }
    expect(rows.loads).toBe(2);
    await clock.advance(BOUND + 1);
    rows.value = "v2";
    expect(await read()).toBe("v2");
    expect(cache.peek("k")).toBe("v2");
  });

  it("is judged from when its load began, not from when it ended", async () => {
    const clock = new FakeClock();
    const { cache } = fed(clock);
    let loads = 0;
    const read = (): Promise<number> =>
      cache.getOrLoad("k", async () => {
        loads += 1;
        await new Promise<void>((resolve) => clock.after(BOUND - 100, resolve));
        return loads;
      });
    const first = read();
    await clock.advance(BOUND - 100);
    await first;
    await clock.advance(101);
    const second = read();
    await clock.advance(BOUND - 100);
    expect(await second).toBe(2);
  });

  it("that is not fed does not care", async () => {
    const clock = new FakeClock();
    const { cache } = fed(clock);
    const rows = source();
    const read = (): Promise<string> => cache.getOrLoad("k", rows.load, { fed: false });
    await read();
    await clock.advance(60_000);
    await read();
    expect(rows.loads).toBe(1);
  });

  it("is not taken from the shared tier by a process whose feed is not complete", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const a = fed(clock, { tiers: [memory(), server.factory()] });
    const b = fed(clock, { tiers: [memory(), server.factory()] });
    await clock.advance(0);
    const rows = source();
    await a.cache.getOrLoad("k", rows.load);
    b.sink.complete(clock.now());
    expect(await b.cache.getOrLoad("k", rows.load)).toBe("v1");
    expect(rows.loads).toBe(1);
    await clock.advance(BOUND + 1);
    rows.value = "v2";
    expect(await b.cache.getOrLoad("k", rows.load)).toBe("v2");
    expect(b.cache.stats().total.missReasons.suspect).toBe(1);
    // What b has loaded is young; a's feed says nothing.
    expect(await a.cache.getOrLoad("k", rows.load)).toBe("v2");
    expect(rows.loads).toBe(3);
    a.sink.complete(clock.now());
    expect(await a.cache.getOrLoad("k", rows.load)).toBe("v2");
    expect(rows.loads).toBe(3);
  });

  it("is not taken from a shared tier that has just come back, before the feed has", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const a = fed(clock, { tiers: [memory(), server.factory()] });
    const connection = chaos(server.factory());
    const b = fed(clock, {
      tiers: [memory(), connection.factory],
      shared: { maxStaleness: BOUND, breakerFailures: 1_000 },
    });
    await clock.advance(0);
    const rows = source();
    await a.cache.getOrLoad("k", rows.load);
    b.sink.complete(clock.now());
    connection.fail();
    await clock.advance(BOUND + 1);
    rows.value = "v2";
    connection.heal();
    // Neither the log nor the feed was heard for longer than the bound; the tier itself answers.
    expect(await b.cache.getOrLoad("k", rows.load)).toBe("v2");
  });

  it("is served on error where the entity allows it, though nobody vouches for it", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const { cache } = fed(clock, { tiers: [memory(), server.factory()], staleIfError: "1h" });
    await clock.advance(0);
    await cache.getOrLoad("k", () => "v1");
    await clock.advance(10 * BOUND);
    const broken = (): string => {
      throw new Error("the database is away");
    };
    expect(await cache.getOrLoad("k", broken)).toBe("v1");
    await cache.getOrLoad("strict", () => "v1", { staleIfError: 0 });
    await clock.advance(10 * BOUND);
    await expect(cache.getOrLoad("strict", broken)).rejects.toThrow("away");
  });
});

it("an entry nobody vouches for is not served because a load is slow: that has not failed", async () => {
  const clock = new FakeClock();
  const { cache } = fed(clock, { ttl: "1h", staleIfError: "1h" });
  await cache.getOrLoad("k", () => "v1");
  await clock.advance(10 * BOUND);
  const slow = (): Promise<string> => new Promise((resolve) => clock.after(500, () => resolve("v2")));
  const impatient = expect(cache.getOrLoad("k", slow, { waitTimeout: 50 })).rejects.toMatchObject({
    code: "ERR_CACHE_TIMEOUT",
  });
  const soft = cache.getOrLoad("k", slow, { softTimeout: 50 });
  await clock.advance(500);
  await impatient;
  expect(await soft).toBe("v2");
});

describe("what a feed publishes", () => {
  interface Contact {
    readonly id: number;
    readonly team: number;
  }

  function contacts(cache: Cache, loads: string[]) {
    return cache.entity<number, Contact>({
      name: "contact",
      scope: "tenant",
      version: 2,
      tags: (contact) => [`team:${contact.team}`],
      load: (id, { scope }) => {
        loads.push(`${String(scope)}/${id}`);
        return { id, team: id % 2 };
      },
    });
  }

  it.each([
    ["ids of a scope", { scope: "acme", ids: [1] }, ["acme/1"]],
    ["tags of a scope", { scope: "acme", tags: ["team:1"] }, ["acme/1"]],
    ["all of a scope", { scope: "acme", all: true }, ["acme/1", "acme/2"]],
    ["ids of a scope nobody names: all of them", { scope: undefined, ids: [1] }, ["acme/1", "acme/2", "initech/1"]],
    ["all", { all: true }, ["acme/1", "acme/2", "initech/1"]],
  ] as const)("is %s", async (_name, change, expected) => {
    const { cache, sink } = fed(new FakeClock());
    const loads: string[] = [];
    const entity = contacts(cache, loads);
    const readAll = async (): Promise<void> => {
      for (const id of [1, 2]) await entity.in("acme").get(id);
      await entity.in("initech").get(1);
    };
    await readAll();
    loads.length = 0;
    await sink.publish([{ of: entity, ...change }]);
    await readAll();
    expect(loads).toEqual(expected);
  });

  it("is nothing when one of the targets is none", async () => {
    const { cache, sink } = fed(new FakeClock());
    await cache.set("k", "v", { fed: false });
    const wrong = { of: { name: "contact" }, ids: [1] };
    await expect(sink.publish([{ key: "k" }, wrong])).rejects.toMatchObject({ code: "ERR_CACHE_OPTION" });
    await expect(sink.publish([{ key: "k" }, { nothing: 1 } as never])).rejects.toMatchObject({
      code: "ERR_CACHE_KEY",
    });
    expect(await cache.get("k")).toBe("v");
    await sink.publish([{ key: "k" }]);
    expect(await cache.get("k")).toBeUndefined();
  });

  it("may be more than one record takes", async () => {
    const { cache, sink } = fed(new FakeClock());
    await cache.set("k:11999", "v", { fed: false });
    await sink.publish(
      [{ keys: Array.from({ length: 12_000 }, (_, index) => `k:${index}`) }].flatMap((one) => split(one.keys)),
    );
    expect(await cache.get("k:11999")).toBeUndefined();
  });

  it("rejects while a shared tier has not acknowledged it", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const connection = chaos(server.factory());
    const { sink } = fed(clock, { tiers: [memory(), connection.factory] });
    await clock.advance(0);
    connection.fail();
    await expect(sink.publish([{ tag: "t" }])).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect(await sink.catchUp()).toBe(false);
    connection.heal();
    await sink.publish([{ tag: "t" }]);
    expect(await sink.catchUp()).toBe(true);
  });
});

function split(keys: readonly string[]): { keys: string[] }[] {
  return [{ keys: keys.slice(0, 6_000) }, { keys: keys.slice(6_000) }];
}

const noFeed = (): undefined => undefined;

describe("a feed", () => {
  it("that may have missed something has nothing believed that was stored before", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const a = fed(clock, { tiers: [memory(), server.factory()] });
    const b = fed(clock, { tiers: [memory(), server.factory()] });
    await clock.advance(0);
    const rows = source();
    await a.cache.getOrLoad("k", rows.load);
    a.sink.complete(clock.now());
    b.sink.complete(clock.now());
    await b.cache.getOrLoad("k", rows.load);
    await a.sink.forget();
    await clock.advance(0);
    rows.value = "v2";
    expect(await a.cache.getOrLoad("k", rows.load)).toBe("v2");
    expect(await b.cache.getOrLoad("k", rows.load)).toBe("v2");
    expect(a.cache.stats().feed?.completeAgo).toBe(Number.POSITIVE_INFINITY);
  });

  it("leaves notes to the feeds of other processes, which find what was published before them applied", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const a = fed(clock, { tiers: [memory(), server.factory()] });
    const b = fed(clock, { tiers: [memory(), server.factory()] });
    await clock.advance(0);
    expect(await b.sink.readNote("lsn")).toBeUndefined();
    for (const text of ["0/1", "0/2"]) {
      await a.sink.writeNote("lsn", text);
      expect(await b.sink.readNote("lsn")).toBe(text);
      expect(await a.sink.readNote("lsn")).toBe(text);
    }
    expect(await b.sink.readNote("other")).toBeUndefined();
    expect(await b.cache.get("~note:lsn")).toBeUndefined();
  });

  it("is never complete in the future", async () => {
    const clock = new FakeClock();
    const { cache, sink } = fed(clock);
    const rows = source();
    await cache.getOrLoad("k", rows.load);
    sink.complete(clock.now() + 60_000);
    await clock.advance(BOUND + 1);
    await cache.getOrLoad("k", rows.load);
    expect(rows.loads).toBe(2);
  });

  it("is told of in events and statistics, and closed with its cache", async () => {
    const clock = new FakeClock();
    const { cache, sink, isClosed } = fed(clock);
    const news: CacheEvent[] = [];
    cache.on("feed", (event) => news.push(event));
    sink.tell({ what: "connected", detail: { slot: "s" } });
    expect(news).toEqual([{ type: "feed", kind: "test", what: "connected", detail: { slot: "s" } }]);
    sink.complete(clock.now());
    await clock.advance(30);
    expect(cache.stats().feed).toEqual({ kind: "test", maxStaleness: BOUND, completeAgo: 30, lag: 7 });
    await cache.close();
    expect(isClosed()).toBe(true);
  });

  it.each([[null], [{}], [{ kind: "x", open: noFeed }], [{ kind: "x", open: noFeed, maxStaleness: 0 }]])(
    "%j is none",
    (feed) => {
      expect(() => createCache({ feed: feed as never })).toThrow(expect.objectContaining({ code: "ERR_CACHE_OPTION" }));
    },
  );
});

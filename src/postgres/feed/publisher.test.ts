import { describe, expect, it } from "vitest";

import { CacheError } from "../../errors.js";
import type { ChangeSink, ChangeTarget, FeedNews } from "../../feed/change-feed.js";
import { FakeClock } from "../../testing/fake-clock.js";
import { Mappings, resolveMapping } from "../mapping.js";
import { Outdated } from "./outdated.js";
import { Publisher } from "./publisher.js";
import { parseSnapshot, type Snapshot } from "./snapshot.js";

function publishing(snapshot: () => string | Promise<string>): {
  publisher: Publisher;
  clock: FakeClock;
  published: (readonly ChangeTarget[])[];
  news: FeedNews[];
  refuse: (with_: unknown) => void;
  abort: () => void;
} {
  const clock = new FakeClock();
  const published: (readonly ChangeTarget[])[] = [];
  const news: FeedNews[] = [];
  let refusal: unknown;
  const ending = new AbortController();
  const sink = {
    clock,
    async publish(targets: readonly ChangeTarget[]) {
      if (typeof refusal === "function") refusal(targets);
      else if (refusal !== undefined) throw refusal;
      published.push(targets);
    },
  } as unknown as ChangeSink;
  const publisher = new Publisher({
    sink,
    snapshot: async (): Promise<Snapshot> => parseSnapshot(await snapshot()),
    tell: (one) => news.push(one),
    onProgress: () => undefined,
    signal: ending.signal,
  });
  const refuse = (with_: unknown): void => {
    refusal = with_;
  };
  return { publisher, clock, published, news, refuse, abort: () => ending.abort() };
}

function outdated(tag: string): Outdated {
  const one = new Outdated();
  one.addTargets([{ tag }]);
  return one;
}

describe("a transaction", () => {
  it("is published when a reader would see it, and not before", async () => {
    let now = "10:10:";
    const { publisher, clock, published } = publishing(() => now);
    publisher.add({ xid: 10, endLsn: 100n, outdated: outdated("a") });
    await clock.advance(500);
    expect(published).toEqual([]);
    expect(publisher.safe).toBe(0n);
    now = "11:11:";
    await clock.advance(60);
    expect(published).toEqual([[{ tag: "a" }]]);
    expect(publisher.safe).toBe(100n);
  });

  it("that stays unseen holds up what is acknowledged, and not those behind it", async () => {
    const { publisher, clock, published } = publishing(() => "10:20:10");
    publisher.add({ xid: 10, endLsn: 100n, outdated: outdated("unseen") });
    publisher.add({ xid: 11, endLsn: 110n, outdated: outdated("seen") });
    publisher.reached(150n);
    await clock.advance(100);
    expect(published).toEqual([[{ tag: "seen" }]]);
    expect(publisher.safe).toBe(0n);
    expect(publisher.received).toBe(150n);
    expect(publisher.unpublished(150n, parseSnapshot("10:20:10"))).toEqual([10n]);
    expect(publisher.unpublished(99n, parseSnapshot("10:20:10"))).toEqual([]);
    publisher.add({ xid: undefined, endLsn: 0n, outdated: outdated("message") });
    await clock.advance(100);
    expect(published.at(-1)).toEqual([{ tag: "message" }]);
  });

  it("shares one question and one publication with those that wait beside it", async () => {
    let asked = 0;
    const { publisher, clock, published } = publishing(() => {
      asked += 1;
      return "99:99:";
    });
    for (let n = 0; n < 50; n++) publisher.add({ xid: n, endLsn: BigInt(n), outdated: outdated(`${n}`) });
    await clock.advance(0);
    expect(published.flat()).toHaveLength(50);
    expect(asked).toBeLessThanOrEqual(2);
  });

  it("is not acknowledged before the shared tier has it, and tried again until it does", async () => {
    const { publisher, clock, published, refuse, news } = publishing(() => "99:99:");
    refuse(new CacheError("ERR_CACHE_TIER", "away"));
    publisher.add({ xid: 1, endLsn: 100n, outdated: outdated("a") });
    await clock.advance(3_000);
    expect(publisher.safe).toBe(0n);
    expect(publisher.failingSince).toBe(1_000);
    expect(news.every(({ what }) => what === "publish-failed")).toBe(true);
    refuse(undefined);
    await clock.advance(1_000);
    expect(published).toEqual([[{ tag: "a" }]]);
    expect(publisher.safe).toBe(100n);
    expect(publisher.failingSince).toBeUndefined();
  });

  it("whose mapping made what is no target is all of its table instead, and if that is none, everything", async () => {
    const mappings = new Mappings();
    mappings.add(resolveMapping<{ id: number }>("a", { targets: () => [{ tag: "wrong" }], whole: [{ tag: "whole" }] }));
    const change = new Outdated();
    for (const mapping of mappings.all) change.addChange(mapping, { kind: "insert", old: undefined, new: { id: 1 } });
    const tried: unknown[] = [];
    const { publisher, clock, published, refuse, news } = publishing(() => "99:99:");
    refuse((targets: unknown) => {
      tried.push(targets);
      if (tried.length < 3) throw new CacheError("ERR_CACHE_KEY", "no target");
    });
    publisher.add({ xid: 1, endLsn: 100n, outdated: change });
    await clock.advance(0);
    expect(tried).toEqual([[{ tag: "wrong" }], [{ tag: "whole" }], [{ all: true }]]);
    expect(published).toEqual([[{ all: true }]]);
    expect(news.map(({ what }) => what)).toEqual(["mapping-failed", "mapping-failed"]);
  });

  it("waits while the source does not answer", async () => {
    let away = true;
    const { publisher, clock, published } = publishing(() => {
      if (away) throw new Error("away");
      return "99:99:";
    });
    publisher.add({ xid: 1, endLsn: 100n, outdated: outdated("a") });
    await clock.advance(500);
    expect(published).toEqual([]);
    away = false;
    await clock.advance(100);
    expect(published).toHaveLength(1);
  });

  it("is left when the feed ends", async () => {
    const { publisher, clock, published, abort } = publishing(() => "1:1:");
    publisher.add({ xid: 1, endLsn: 100n, outdated: outdated("a") });
    abort();
    await clock.advance(1_000);
    expect(published).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe("a keepalive", () => {
  it("says how far the log is read, and all of that is safe when nothing waits", async () => {
    const { publisher, clock } = publishing(() => "99:99:");
    publisher.reached(70n);
    expect(publisher.safe).toBe(70n);
    publisher.add({ xid: 1, endLsn: 100n, outdated: outdated("a") });
    publisher.reached(120n);
    expect(publisher.safe).toBe(70n);
    await clock.advance(0);
    expect(publisher.safe).toBe(120n);
  });

  it("never takes anything back", () => {
    const { publisher } = publishing(() => "99:99:");
    publisher.reached(70n);
    publisher.reached(60n);
    expect(publisher.received).toBe(70n);
  });
});

import { describe, expect, it } from "vitest";
import { FakeClock } from "../../testing/fake-clock.js";
import type { PurgeTarget } from "../purge.js";
import type { NormalTarget, PurgeEvent } from "./purger.js";
import type { PurgeQueueOptions } from "./queue-options.js";
import { queuedPurger } from "./queue.js";
import { chunks, type CallResult, type PurgeVendor } from "./vendor.js";

const BATCH = 3;

/** A vendor that answers what it is told, in the order it is asked. */
function world(options: PurgeQueueOptions & { readonly rate?: PurgeVendor["rate"]; readonly servers?: number } = {}) {
  const { rate = { perSecond: 1_000, burst: 1_000, concurrency: 4 }, servers = 1, ...queue } = options;
  const clock = new FakeClock({ now: 0, wall: 0 });
  const sent: string[] = [];
  const answers: (CallResult | "never" | ((targets: readonly NormalTarget[]) => CallResult))[] = [];
  const events: PurgeEvent[] = [];
  const vendor: PurgeVendor = {
    name: "fake",
    rate,
    refusal: (target) => (target.kind === "prefix" ? "no prefixes" : undefined),
    calls: (targets, soft) =>
      chunks(targets, BATCH).flatMap((some) =>
        Array.from({ length: servers }, () => ({
          targets: some,
          cost: some.length,
          async send(signal: AbortSignal) {
            sent.push(`${clock.now()} ${soft ? "soft" : "hard"} ${some.map(({ id }) => id).join(",")}`);
            const answer = answers.shift() ?? { kind: "done" as const };
            if (typeof answer === "function") return answer(some);
            if (answer !== "never") return answer;
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
            return { kind: "failed" as const, reason: "no answer in time", again: true };
          },
        })),
      ),
  };
  const purger = queuedPurger(vendor, { clock, random: () => 1, onEvent: (event) => events.push(event), ...queue });
  return { clock, sent, answers, events, purger };
}

const tags = (...names: readonly string[]): PurgeTarget[] => names.map((tag) => ({ tag }));
const failure = (again: boolean, after?: number): CallResult => ({
  kind: "failed",
  reason: "answered 503",
  again,
  after,
});

describe("a purger's queue", () => {
  it("gathers what is asked for in a window into as few requests as the vendor takes", async () => {
    const { clock, sent, purger } = world();
    const all = [purger.purge(tags("a", "b")), purger.purge(tags("b", "c")), purger.purge({ tag: "d" })];
    await clock.advance(20);
    expect(sent).toEqual(["20 hard tag a,tag b,tag c", "20 hard tag d"]);
    expect((await all[1])?.acknowledged).toEqual(tags("b", "c"));
  });

  it("sends a target again that is asked for while it is under way", async () => {
    const { clock, sent, answers, purger } = world();
    answers.push("never");
    const first = purger.purge({ tag: "a" });
    await clock.advance(20);
    const second = purger.purge({ tag: "a" });
    await clock.advance(20);
    expect(sent).toEqual(["20 hard tag a", "40 hard tag a"]);
    expect((await second).acknowledged).toEqual(tags("a"));
    await clock.advance(20_000);
    expect((await first).acknowledged).toEqual(tags("a"));
  });

  it("does what waits softly hard when it is asked for hard as well, and not the other way round", async () => {
    const { clock, sent, purger } = world();
    void purger.purge(tags("a", "s"), { mode: "soft" });
    void purger.purge({ tag: "a" });
    void purger.purge({ tag: "a" }, { mode: "soft" });
    await clock.advance(20);
    expect(sent).toEqual(["20 hard tag a", "20 soft tag s"]);
  });

  it("sends one request for all when everything goes, and everybody gets its outcome", async () => {
    const { clock, sent, purger } = world();
    const one = purger.purge({ tag: "a" });
    const all = purger.purge({ all: true });
    await clock.advance(20);
    expect(sent).toEqual(["20 hard all"]);
    expect((await one).acknowledged).toEqual(tags("a"));
    expect((await all).acknowledged).toEqual([{ all: true }]);
  });

  it("tries again after waits that double up to the longest, and then says that it failed", async () => {
    const { clock, sent, answers, events, purger } = world({ attempts: 5, retryDelay: 100, maxRetryDelay: 300 });
    for (let n = 0; n < 5; n++) answers.push(failure(true));
    const report = purger.purge({ tag: "a" });
    await clock.advance(2_000);
    expect(sent.map((line) => Number(line.split(" ")[0]))).toEqual([20, 120, 320, 620, 920]);
    expect(await report).toEqual({
      purger: "fake",
      acknowledged: [],
      failed: [{ target: { tag: "a" }, reason: "answered 503" }],
    });
    expect(events.map(({ type }) => type)).toEqual(["retried", "retried", "retried", "retried", "failed"]);
  });

  it("waits at random, and as long as the vendor asks", async () => {
    const { clock, sent, answers, purger } = world({ retryDelay: 1_000, random: () => 0.25 });
    answers.push(failure(true), failure(true, 7_000));
    void purger.purge({ tag: "a" });
    await clock.advance(20_000);
    expect(sent.map((line) => Number(line.split(" ")[0]))).toEqual([20, 270, 7_270]);
  });

  it("does not try again what the vendor refuses, and does not send what it cannot do", async () => {
    const { clock, sent, answers, purger } = world();
    answers.push(failure(false));
    const report = purger.purge([{ tag: "a" }, { prefix: "https://a.example/b" }]);
    await clock.advance(60_000);
    expect(sent).toEqual(["20 hard tag a"]);
    expect((await report).failed).toEqual([
      { target: { tag: "a" }, reason: "answered 503" },
      { target: { prefix: "https://a.example/b" }, reason: "no prefixes" },
    ]);
  });

  it("keeps to the rate after a burst", async () => {
    const rate = { perSecond: 2, burst: 4, concurrency: 100 };
    const { clock, sent, purger } = world({ rate });
    for (const name of "abcdefgh") void purger.purge({ tag: name });
    await clock.advance(20);
    expect(sent).toHaveLength(1);
    await clock.advance(970);
    expect(sent).toHaveLength(1);
    await clock.advance(10_000);
    // Three keys and one left of the burst; then three more at 1 s, and two at 2 s, as each costs its keys.
    expect(sent).toEqual(["20 hard tag a,tag b,tag c", "1020 hard tag d,tag e,tag f", "2020 hard tag g,tag h"]);
  });

  it("refuses what its bound has no room for, and takes it again when there is", async () => {
    const { clock, answers, events, purger } = world({ maxQueued: 2 });
    answers.push("never");
    const first = purger.purge(tags("a", "b"));
    expect((await purger.purge({ tag: "c" })).failed).toEqual([{ target: { tag: "c" }, reason: "the queue is full" }]);
    expect(events).toEqual([{ type: "failed", purger: "fake", targets: 1, reason: "the queue is full" }]);
    await clock.advance(20_000);
    await first;
    const third = purger.purge({ tag: "c" });
    await clock.advance(20);
    expect((await third).acknowledged).toEqual(tags("c"));
  });

  it("acknowledges what every server has, and not what one of them has not", async () => {
    for (const order of [
      [{ kind: "done" } as const, failure(false)],
      [failure(false), { kind: "done" } as const],
    ]) {
      const { clock, answers, purger } = world({ servers: 2 });
      answers.push(...order);
      const report = purger.purge({ tag: "a" });
      await clock.advance(20);
      expect((await report).acknowledged).toEqual([]);
      expect((await report).failed).toHaveLength(1);
    }
  });

  it("says which of a request's targets the vendor did not name", async () => {
    const { clock, answers, purger } = world();
    answers.push((targets) => ({ kind: "done", missing: targets.slice(1) }));
    const report = purger.purge(tags("a", "b"));
    await clock.advance(20);
    expect(await report).toEqual({
      purger: "fake",
      acknowledged: tags("a"),
      failed: [{ target: { tag: "b" }, reason: "not acknowledged" }],
    });
  });

  it("gives a request up that is not answered in time, and tries it again", async () => {
    const { clock, sent, answers, purger } = world({ timeout: 1_000, retryDelay: 100 });
    answers.push("never");
    const report = purger.purge({ tag: "a" });
    await clock.advance(1_020);
    await clock.advance(100);
    expect(sent.map((line) => Number(line.split(" ")[0]))).toEqual([20, 1_120]);
    expect((await report).acknowledged).toEqual(tags("a"));
  });

  it("sends what waits when it is closed, gives up the rest in bounded time, and takes nothing more", async () => {
    const { clock, sent, answers, purger } = world();
    answers.push("never", { kind: "done" });
    const stuck = purger.purge({ tag: "a" });
    await clock.advance(20);
    const waiting = purger.purge({ tag: "b" });
    const closed = purger.close();
    expect((await waiting).acknowledged).toEqual(tags("b"));
    await expect(purger.purge({ tag: "c" })).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    await clock.advance(5_000);
    await closed;
    expect((await stuck).failed).toEqual([{ target: { tag: "a" }, reason: "the purger was closed" }]);
    expect(sent).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  it("goes on when a listener throws", async () => {
    const { clock, purger } = world({
      onEvent: () => {
        throw new Error("listener");
      },
    });
    const report = purger.purge({ tag: "a" });
    await clock.advance(20);
    expect((await report).acknowledged).toEqual(tags("a"));
  });

  it("refuses targets that are none, and options with their name, rule and value", async () => {
    const { purger } = world();
    for (const wrong of [{}, { url: "/a" }, { tag: "" }, { all: false }, { url: "ftp://a/b" }, null]) {
      await expect(purger.purge(wrong as unknown as PurgeTarget)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    }
    expect(() => world({ attempts: 0 })).toThrow("Expected `attempts` to be an integer of 1 or more, got `0`");
    expect(() => world({ perSecond: -1 })).toThrow("Expected `perSecond` to be a number above 0, got `-1`");
    expect(() => world({ tries: 1 } as PurgeQueueOptions)).toThrow("Expected `queue option`");
  });
});

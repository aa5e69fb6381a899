import { describe, expect, it, onTestFinished } from "vitest";
import { createCache, memory, type Cache } from "../../index.js";
import { FakeClock, SharedMemory } from "../../testing/index.js";
import { cachedFetch } from "../fetch.js";
import { surrogateKey, surrogateKeys } from "../headers/surrogate-keys.js";
import type { PurgeTarget } from "../purge.js";
import { forwardInvalidations, type ForwardEvent, type ForwardOptions } from "./forward.js";
import { cachedResponses } from "./cached-responses.js";
import type { HttpPurger, PurgeOptions } from "./purger.js";

/** A purger that writes down what it is told. */
function recorder(name: string, log: string[], hold?: () => Promise<void>): HttpPurger {
  return {
    name,
    async purge(targets: PurgeTarget | readonly PurgeTarget[], { mode = "hard" }: PurgeOptions = {}) {
      const list = (Array.isArray(targets) ? targets : [targets]) as readonly PurgeTarget[];
      log.push(`${name} ${mode} ${list.map((one) => Object.values(one).join()).join(" ")}`);
      await hold?.();
      return { purger: name, acknowledged: list, failed: [] };
    },
    close: () => Promise.resolve(),
  };
}

function localCache(): Cache {
  const cache = createCache({ tiers: [memory()] });
  onTestFinished(() => cache.close());
  return cache;
}

async function world(options: ForwardOptions = {}) {
  const cache = localCache();
  const log: string[] = [];
  const events: ForwardEvent[] = [];
  const forwarding = forwardInvalidations(cache, [recorder("proxy", log), recorder("cdn", log)], {
    onEvent: (event) => events.push(event),
    ...options,
  });
  onTestFinished(() => forwarding.close());
  await until(() => forwarding.elected);
  return { cache, log, events, forwarding };
}

/** Looks until it holds, over turns of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 10_000 && !holds(); tries++) await new Promise((resolve) => setImmediate(resolve));
  expect(holds()).toBe(true);
}

describe("forwardInvalidations", () => {
  it("tells every purger in order what an entity's invalidation means, softly where it was soft", async () => {
    const { cache, log, forwarding } = await world();
    const contacts = cache.entity({ name: "contact", scope: "tenant" });
    await contacts.in("acme").invalidate(7);
    await contacts.in("acme").invalidate(8, { mode: "soft" });
    const reports = await forwarding.flush();
    expect(log.filter((line) => line.includes("7"))).toEqual([
      "proxy hard ~acme:contact:7",
      "cdn hard ~acme:contact:7",
    ]);
    expect(log.filter((line) => line.includes("8"))).toEqual([
      "proxy soft ~acme:contact:8",
      "cdn soft ~acme:contact:8",
    ]);
    expect(reports).toHaveLength(4);
    expect(await forwarding.flush()).toEqual([]);
  });

  it("waits with the CDN until the proxy behind it has answered", async () => {
    const cache = localCache();
    const log: string[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const forwarding = forwardInvalidations(cache, [recorder("proxy", log, () => held), recorder("cdn", log)], {
      by: "every",
    });
    await cache.invalidate({ tag: "a" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).toEqual(["proxy hard a"]);
    release();
    await forwarding.flush();
    expect(log).toEqual(["proxy hard a", "cdn hard a"]);
    await forwarding.close();
  });

  it("purges answers built from entities in our own HTTP cache, and outside once", async () => {
    const cache = localCache();
    const log: string[] = [];
    const forwarding = forwardInvalidations(cache, [cachedResponses(cache), recorder("cdn", log)], { by: "every" });
    onTestFinished(() => forwarding.close());
    let asked = 0;
    const http = cachedFetch(cache, {
      fetch: () => {
        asked += 1;
        const headers = { "cache-control": "max-age=60", ...surrogateKeys([surrogateKey("contact", 7)]) };
        return Promise.resolve(new Response(`answer ${asked}`, { headers }));
      },
    });
    const text = async (): Promise<string> => (await http("https://api.example/contacts/7")).text();
    expect([await text(), await text()]).toEqual(["answer 1", "answer 1"]);
    await cache.entity({ name: "contact" }).invalidate(7);
    await forwarding.flush();
    expect(await text()).toBe("answer 2");
    await cache.invalidate({ tag: surrogateKey("contact", 7) });
    await forwarding.flush();
    expect(await text()).toBe("answer 3");
    // The second is the tag's own: the first purge of our cache by it has not come back here.
    expect(log).toEqual(["cdn hard ~global:contact:7", "cdn hard ~global:contact:7"]);
  });

  it("tells what no surrogate key names, and purges everything only where it is asked to", async () => {
    const telling = await world();
    await telling.cache.invalidate({ all: true });
    await telling.forwarding.flush();
    expect(telling.log).toEqual([]);
    expect(telling.events.filter(({ type }) => type === "unnamed")).toEqual([
      { type: "unnamed", marks: [{ kind: "all" }] },
    ]);
    const purging = await world({ wide: "purge" });
    await purging.cache.invalidate({ pattern: "user:*" });
    await purging.forwarding.flush();
    expect(purging.log).toEqual(["proxy hard true", "cdn hard true"]);
  });

  it("purges outside once more, later", async () => {
    const clock = new FakeClock({ now: 0, wall: 0 });
    const { cache, log, forwarding } = await world({ repeatAfter: "2s", clock });
    await cache.invalidate({ tag: "a" });
    await forwarding.flush();
    expect(log).toHaveLength(2);
    await clock.advance(2_000);
    await forwarding.flush();
    expect(log).toEqual(["proxy hard a", "cdn hard a", "proxy hard a", "cdn hard a"]);
  });

  it("says what a purger that throws has not done, and goes on to the next", async () => {
    const cache = localCache();
    const log: string[] = [];
    const broken: HttpPurger = { ...recorder("broken", log), purge: () => Promise.reject(new Error("token s3cret")) };
    const forwarding = forwardInvalidations(cache, [broken, recorder("cdn", log)], { by: "every" });
    await cache.invalidate({ tag: "a" });
    const [first] = await forwarding.flush();
    expect(first).toEqual({
      purger: "broken",
      acknowledged: [],
      failed: [{ target: { tag: "a" }, reason: "the purger threw" }],
    });
    expect(log).toEqual(["cdn hard a"]);
    await forwarding.close();
  });

  it("is not elected any more when it is closed before it is, and leaves it to the next", async () => {
    const cache = localCache();
    const events: ForwardEvent[] = [];
    await forwardInvalidations(cache, [], { onEvent: (event) => events.push(event) }).close();
    expect(events).toEqual([]);
    const next = forwardInvalidations(cache, []);
    await until(() => next.elected);
    await next.close();
  });

  it("hears nothing after it was closed, and refuses options that are none", async () => {
    const { cache, log, forwarding } = await world();
    await forwarding.close();
    await cache.invalidate({ tag: "a" });
    expect(log).toEqual([]);
    expect(() => forwardInvalidations(cache, [], { by: "all" as "every" })).toThrow("Expected `by` to be");
    expect(() => forwardInvalidations(cache, [], { origins: ["www.example.org"] })).toThrow("Expected `origins` to be");
    expect(() => forwardInvalidations(cache, [], { only: 1 } as ForwardOptions)).toThrow("forwarding option");
  });
});

describe("forwardInvalidations in several processes", () => {
  /** Two caches on one shared tier, each with its own forwarding. */
  function fleet(by: "elected" | "writer" | "every") {
    const clock = new FakeClock({ now: 0, wall: 1_000_000 });
    const room = new SharedMemory({ clock });
    const log: string[] = [];
    const members = ["one", "two"].map((name) => {
      const cache = createCache({ tiers: [memory(), room.factory()], clock });
      const forwarding = forwardInvalidations(cache, recorder(name, log), { by, clock });
      return { name, cache, forwarding };
    });
    onTestFinished(async () => {
      const closing = Promise.all(members.map(({ forwarding, cache }) => forwarding.close().then(() => cache.close())));
      await clock.advance(30_000);
      await closing;
    });
    const settle = async (): Promise<void> => {
      await clock.advance(50);
      for (const { forwarding } of members) await forwarding.flush();
    };
    return { clock, log, members, settle };
  }

  it("sends what anybody invalidates once, by the elected one", async () => {
    const { log, members, settle, clock } = fleet("elected");
    await clock.advance(5_000);
    expect(members.filter(({ forwarding }) => forwarding.elected)).toHaveLength(1);
    for (const [n, { cache }] of members.entries()) await cache.entity({ name: "contact" }).invalidate(n);
    await settle();
    const elected = members.find(({ forwarding }) => forwarding.elected)?.name;
    expect([...log].sort()).toEqual([`${elected} hard ~global:contact:0`, `${elected} hard ~global:contact:1`]);
  });

  it("sends again what the one before may not have done, when another is elected", async () => {
    const { log, members, settle, clock } = fleet("elected");
    await clock.advance(5_000);
    const [elected, other] = [true, false].map((is) => members.find(({ forwarding }) => forwarding.elected === is));
    await other?.cache.invalidate({ tag: "a" });
    await settle();
    expect(log).toEqual([`${elected?.name} hard a`]);
    const closing = elected?.forwarding.close();
    await clock.advance(50);
    await closing;
    await other?.cache.invalidate({ tag: "b" });
    await clock.advance(15_000);
    await settle();
    expect(other?.forwarding.elected).toBe(true);
    expect(log).toEqual([`${elected?.name} hard a`, `${other?.name} hard a`, `${other?.name} hard b`]);
  });

  it("sends what each has invalidated itself, or what each hears", async () => {
    const writers = fleet("writer");
    await writers.clock.advance(5_000);
    await writers.members[0]?.cache.invalidate({ tag: "a" });
    await writers.settle();
    expect(writers.log).toEqual(["one hard a"]);
    const every = fleet("every");
    await every.clock.advance(5_000);
    await every.members[0]?.cache.invalidate({ tag: "a" });
    await every.settle();
    expect([...every.log].sort()).toEqual(["one hard a", "two hard a"]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { entryFields } from "../../test/support/entry-fields.js";
import { createKeyHash } from "./memory/hash-key.js";
import { createMemoryTier } from "./memory/create-memory-tier.js";
import { RemovalMemory } from "./memory/removal-memory.js";
import type { Held } from "../entries/held.js";
import type { LogKnowledge } from "../invalidation/knowledge.js";
import { Marks } from "../invalidation/marks.js";
import { DEFAULT_POLICY } from "../policy.js";
import { Recorder } from "../stats.js";
import { FakeClock } from "../testing/index.js";
import { LocalEntries } from "./local-entries.js";
import { createCache, memory, type Cache } from "../index.js";
import { oneCache } from "../../test/support/one-cache.js";

const KEYS = ["a", "b", "team:c", "team:d"] as const;
type Key = (typeof KEYS)[number];

type Step =
  | { readonly what: "set"; readonly key: Key; readonly ttl: number; readonly tag: string }
  | { readonly what: "delete" | "expire"; readonly key: Key }
  | { readonly what: "tag"; readonly tag: string; readonly soft: boolean }
  | { readonly what: "prefix" | "crowd" }
  | { readonly what: "wait"; readonly ms: number };

const start = oneCache();

/** Read so often that memory vouches for it: a first time, as its own encoding, and from then on. */
function vouched(cache: Cache, key: string): unknown {
  cache.peek(key);
  cache.peek(key);
  return cache.peek(key);
}

/** After each step, whatever is vouched for is what a map of the same steps holds. */
async function agrees(steps: readonly Step[]): Promise<void> {
  const clock = new FakeClock();
  const cache = createCache({ name: "t", clock, jitter: 0, tiers: [memory({ maxEntries: 1000 })] });
  const model = new Map<Key, { value: number; until: number; tag: string }>();
  for (const [made, one] of steps.entries()) {
    if (one.what === "set") {
      await cache.set(one.key, made, { ttl: one.ttl, tags: [one.tag] });
      model.set(one.key, { value: made, until: clock.now() + one.ttl, tag: one.tag });
    } else if (one.what === "delete" || one.what === "expire") {
      await cache[one.what](one.key);
      model.delete(one.key);
    } else if (one.what === "tag") {
      await cache.invalidate({ tag: one.tag }, { mode: one.soft ? "soft" : "hard" });
      for (const [held, { tag }] of model) if (tag === one.tag) model.delete(held);
    } else if (one.what === "prefix") {
      await cache.invalidate({ prefix: "team" });
      for (const held of model.keys()) if (held.startsWith("team:")) model.delete(held);
    } else if (one.what === "crowd") {
      for (let i = 0; i < 20; i += 1) await cache.set(`crowd:${i}`, i, { ttl: 50 });
    } else if ("ms" in one) await clock.advance(one.ms);
    for (const held of KEYS) {
      const known = model.get(held);
      expect(vouched(cache, held)).toBe(known !== undefined && clock.now() < known.until ? known.value : undefined);
    }
  }
  const closing = cache.close();
  await clock.advance(10_000);
  await closing;
}

describe("a value that memory vouches for", () => {
  const key = fc.constantFrom(...KEYS);
  const tag = fc.constantFrom("x", "y");
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ what: fc.constant("set" as const), key, ttl: fc.integer({ min: 1, max: 400 }), tag }),
    fc.record({ what: fc.constantFrom("delete" as const, "expire" as const), key }),
    fc.record({ what: fc.constant("tag" as const), tag, soft: fc.boolean() }),
    fc.record({ what: fc.constantFrom("prefix" as const, "crowd" as const) }),
    fc.record({ what: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 200 }) }),
  );

  it("is what a plain map would give, whatever happens", async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), agrees));
  });

  it("goes with its entry: evicted, its place is the next one's", async () => {
    const { cache } = start({ tiers: [memory({ maxEntries: 2 })] });
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
    for (const one of keys) {
      await cache.set(one, one);
      for (const other of keys) expect([other, undefined]).toContain(vouched(cache, other));
    }
  });

  it("is a hit like any other: counted, and told to who listens", async () => {
    const { cache } = start();
    const heard: string[] = [];
    await cache.set("k", "v");
    cache.on("hit", (event) => heard.push(event.key));
    for (let i = 0; i < 5; i += 1) expect(cache.peek("k")).toBe("v");
    expect(heard).toEqual(["k", "k", "k", "k", "k"]);
    expect(cache.stats().total.hits.memory).toBe(5);
    expect(cache.stats().entities[""]?.hits.memory).toBe(5);
  });

  it("is copied for each reader where freezing does not protect it", async () => {
    const { cache } = start();
    await cache.set("date", { at: new Date(5) });
    const first = vouched(cache, "date") as { at: Date };
    first.at.setTime(9);
    expect(vouched(cache, "date")).toEqual({ at: new Date(5) });
  });

  it("is copied for each reader of a cache that clones", async () => {
    const { cache } = start({ isolation: "clone" });
    await cache.set("k", { list: [1] });
    (vouched(cache, "k") as { list: number[] }).list.push(2);
    expect(vouched(cache, "k")).toEqual({ list: [1] });
  });

  it("slides where its entry slides", async () => {
    const { cache, clock } = start();
    await cache.set("k", "v", { ttl: 1000, sliding: true });
    for (let i = 0; i < 10; i += 1) {
      expect(vouched(cache, "k")).toBe("v");
      await clock.advance(600);
    }
    await clock.advance(600);
    expect(vouched(cache, "k")).toBeUndefined();
  });

  it("is none any more when the cache is closed", async () => {
    const { cache } = start();
    await cache.set("k", "v");
    expect(vouched(cache, "k")).toBe("v");
    await cache.close();
    expect(() => cache.peek("k")).toThrow("closed");
  });

  it("belongs to text that is its own encoding: other text that looks like a path is another key", async () => {
    const { cache } = start();
    await cache.set(["a", "b:c"], "array");
    expect(vouched(cache, "a:b:c")).toBeUndefined();
    await cache.set("a:b:c", "text");
    expect(vouched(cache, "a:b:c")).toBe("text");
    expect(cache.peek(["a", "b:c"])).toBe("array");
  });
});

describe("LocalEntries", () => {
  function parts(): {
    readonly local: LocalEntries;
    readonly recorder: Recorder;
    readonly log: (isBounded?: boolean) => LogKnowledge;
    readonly keep: (path: string, knowledge: LogKnowledge, entity?: string) => Held;
  } {
    const clock = new FakeClock();
    const recorder = new Recorder();
    const bounds = { maxEntries: 100, maxBytes: 100_000, maxEntryBytes: 10_000 };
    const local = new LocalEntries({
      memory: createMemoryTier<Held>({ ...bounds, clock }),
      clock,
      recorder,
      removals: new RemovalMemory(createKeyHash(Math.random)),
      isolation: "freeze",
      random: Math.random,
      exact: false,
      revalidates: true,
      sizeOf: undefined,
      isHot: () => false,
    });
    const log = (isBounded = false): LogKnowledge => ({
      marks: new Marks(0),
      isBounded,
      trusted: () => true,
      heard: () => true,
      vouched: () => true,
    });
    const keep = (path: string, knowledge: LogKnowledge, entity = ""): Held => {
      const fields = entryFields({ value: path, ttl: 60_000 });
      const counters = recorder.counters(entity);
      const held = local.hold(local.secure(path), fields, clock.now(), 1, DEFAULT_POLICY, counters, knowledge);
      local.keep(path, held);
      expect(local.look(path).state).toBe("fresh");
      local.vouch(path, held, recorder.counters(""));
      return held;
    };
    return { local, recorder, log, keep };
  }

  it("answers with what was vouched for, until the entry is doubted or the log moves on", () => {
    const { local, log, keep } = parts();
    const knowledge = log();
    keep("a", knowledge);
    keep("b", knowledge);
    expect([local.answer("a"), local.answer("b"), local.answer("c")]).toEqual(["a", "b", undefined]);
    local.suspect("a");
    expect([local.answer("a"), local.answer("b")]).toEqual([undefined, "b"]);
    knowledge.marks.touch();
    expect(local.answer("b")).toBeUndefined();
  });

  it("vouches for the entries of one log only, whose version it compares", () => {
    const { local, log, keep } = parts();
    const [first, second] = [log(), log()];
    keep("a", first);
    keep("b", second);
    second.marks.touch();
    expect([local.answer("a"), local.answer("b")]).toEqual(["a", undefined]);
  });

  it("vouches for nothing that is believed for a bounded time, or counted for an entity", () => {
    const { local, log, keep } = parts();
    keep("a", log(true));
    expect(local.answer("a")).toBeUndefined();
    const other = parts();
    other.keep("a", other.log(), "contact");
    expect(other.local.answer("a")).toBeUndefined();
  });
});

import { describe, expect, it, onTestFinished } from "vitest";

import type { CacheOptions } from "../src/options.js";
import { processes, type Processes } from "./support/processes.js";

async function world(count: number, options: CacheOptions = {}): Promise<Processes> {
  const made = await processes(count, options);
  onTestFinished(made.close);
  return made;
}

describe("a strict read", () => {
  it("sees what another process invalidated before it, though no message came", async () => {
    const { caches, connections } = await world(2, { strict: true });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    expect(await b.getOrLoad("k", () => "old")).toBe("old");
    connections[1]?.dropPushes(true);
    await a.invalidate({ key: "k" });
    expect(await b.getOrLoad("k", () => "new")).toBe("new");
    await a.invalidate({ tag: "t" });
    await a.set("k", "newest", { tags: ["t"] });
    expect(await b.get("k")).toBe("newest");
    await a.invalidate({ tag: "t" });
    expect(await b.get("k")).toBeUndefined();
  });

  it("is answered by memory once the log's head was read, and transfers no value", async () => {
    const { caches, connections } = await world(1, { strict: true });
    const a = caches[0] as (typeof caches)[0];
    await a.getOrLoad("k", () => "v");
    const before = a.stats().total.hits.memory;
    const reads = connections[0]?.calls.read ?? 0;
    expect(await Promise.all([a.get("k"), a.get("k"), a.getOrLoad("k", () => "never")])).toEqual(["v", "v", "v"]);
    expect(a.stats().total.hits.memory).toBe(before + 3);
    // Those of one turn share the read.
    expect(connections[0]?.calls.read).toBe(reads + 1);
  });

  it("is a load when the shared tier is away, not what memory holds", async () => {
    const { caches, connections } = await world(1, { strict: true });
    const a = caches[0] as (typeof caches)[0];
    await a.getOrLoad("k", () => "old");
    connections[0]?.fail();
    expect(await a.getOrLoad("k", () => "new")).toBe("new");
    expect(await a.get("k")).toBeUndefined();
  });

  it("has no answer without waiting", async () => {
    const { caches } = await world(1, { strict: true });
    const a = caches[0] as (typeof caches)[0];
    await a.getOrLoad("k", () => "v");
    expect(a.peek("k")).toBeUndefined();
    const contact = a.entity<string, string>({ name: "contact", load: (id) => id });
    await contact.get("7");
    expect(contact.peek("7")).toBeUndefined();
  });

  it("may be asked for by a call, an entity or a preset alone", async () => {
    const { caches, connections } = await world(2, { presets: { careful: { strict: true } } });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    connections[1]?.dropPushes(true);
    for (const options of [{ strict: true }, { preset: "careful" }]) {
      await b.getOrLoad("k", () => "old");
      await a.invalidate({ key: "k" });
      expect(await b.getOrLoad("k", () => "new")).toBe("old");
      expect(await b.getOrLoad("k", () => "new", options)).toBe("new");
      await a.invalidate({ key: "k" });
      expect(await b.getOrLoad("k", () => "never", {})).toBe("new");
      expect(await b.getOrLoad("k", () => "old", options)).toBe("old");
    }
    const versions = { now: "old" };
    const contact = b.entity<string, string>({ name: "contact", strict: true, load: () => versions.now });
    const elsewhere = a.entity<string, string>({ name: "contact", load: () => versions.now });
    expect(await contact.get("7")).toBe("old");
    versions.now = "new";
    await elsewhere.invalidate("7");
    expect(await contact.get("7")).toBe("new");
  });

  it("may be waived by a call of a strict cache", async () => {
    const { caches, connections } = await world(1, { strict: true });
    const a = caches[0] as (typeof caches)[0];
    await a.getOrLoad("k", () => "v");
    connections[0]?.fail();
    expect(await a.getOrLoad("k", () => "never", { strict: false })).toBe("v");
  });
});

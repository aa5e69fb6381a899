import { afterEach, describe, expect, it } from "vitest";

import type { Cache, Entity, ScopedEntity } from "../src/index.js";
import { processes, type Processes } from "./support/processes.js";

let running: Processes | undefined;

async function start(): Promise<Processes & { a: Cache; b: Cache }> {
  running = await processes(2);
  const [a, b] = running.caches;
  return { ...running, a: a as Cache, b: b as Cache };
}

afterEach(async () => {
  await running?.close();
  running = undefined;
});

describe("while a deploy rolls", () => {
  const declare = (cache: Cache, version: number): ScopedEntity<string, unknown> =>
    cache.entity<string, unknown>({ name: "contact", version, scope: "tenant", tags: () => ["team"] });

  it("a version reads nothing of the other's, and both are stored side by side", async () => {
    const { a, b } = await start();
    const [v1, v2] = [declare(a, 1).in("acme"), declare(b, 2).in("acme")];
    expect(await v1.getOrLoad("7", () => "v1 shape")).toBe("v1 shape");
    expect(await v2.getOrLoad("7", () => ({ shape: 2 }))).toEqual({ shape: 2 });
    expect(await v1.find("7")).toBe("v1 shape");
    expect(await v2.find("7")).toEqual({ shape: 2 });
  });

  const reaches: readonly [string, (contacts: ScopedEntity<string, unknown>, cache: Cache) => Promise<unknown>][] = [
    ["invalidate", (contacts) => contacts.in("acme").invalidate("7")],
    ["invalidateMany", (contacts) => contacts.in("acme").invalidateMany(["7"])],
    ["invalidateTag", (contacts) => contacts.in("acme").invalidateTag("team")],
    ["invalidateAll in the scope", (contacts) => contacts.in("acme").invalidateAll()],
    ["invalidateAll in every scope", (contacts) => contacts.invalidateAll()],
    ["expire", (contacts) => contacts.in("acme").expire("7")],
    ["the target by name", (_contacts, cache) => cache.invalidate({ entity: "contact", scope: "acme" })],
  ];

  it.each(reaches)("%s from either version reaches both, in memory and in the shared tier", async (_name, forget) => {
    for (const from of [0, 1] as const) {
      const { a, b, settle, close } = await start();
      const caches = [a, b] as const;
      const both = [declare(a, 1), declare(b, 2)] as const;
      await both[0].in("acme").set("8", "kept");
      await both[0].in("acme").getOrLoad("7", () => "old");
      await both[1].in("acme").getOrLoad("7", () => "old");
      await forget(both[from], caches[from]);
      await settle();
      for (const contacts of both) {
        expect(contacts.in("acme").peek("7")).toBeUndefined();
        expect(await contacts.in("acme").find("7")).toBeUndefined();
      }
      if (_name === "invalidate") expect(await both[0].in("acme").find("8")).toBe("kept");
      await close();
    }
    running = undefined;
  });

  const writes: readonly [string, (contacts: Entity<string, unknown>) => Promise<unknown>][] = [
    ["set", (contacts) => contacts.set("7", "new")],
    ["writeThrough", (contacts) => contacts.writeThrough("7", async () => "new")],
  ];

  it.each(writes)("%s in one version takes the other's old value away", async (_name, write) => {
    for (const from of [0, 1] as const) {
      const { a, b, settle, close } = await start();
      const both = [declare(a, 1).in("acme"), declare(b, 2).in("acme")] as const;
      await both[0].getOrLoad("7", () => "old");
      await both[1].getOrLoad("7", () => "old");
      await write(both[from]);
      await settle();
      const other = both[1 - from] as Entity<string, unknown>;
      expect(await both[from].find("7")).toBe("new");
      expect(other.peek("7")).toBeUndefined();
      expect(await other.find("7")).toBeUndefined();
      await close();
    }
    running = undefined;
  });

  it("a load that the other version's invalidation overtakes is not stored", async () => {
    const { a, b, settle } = await start();
    const [v1, v2] = [declare(a, 1).in("acme"), declare(b, 2).in("acme")];
    let finish: (value: string) => void = () => undefined;
    const read = v1.getOrLoad("7", () => new Promise<string>((resolve) => (finish = resolve)));
    await settle();
    await v2.invalidate("7");
    finish("old");
    expect(await read).toBe("old");
    await settle();
    expect(v1.peek("7")).toBeUndefined();
    expect(await v1.find("7")).toBeUndefined();
  });
});

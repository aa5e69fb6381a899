import { describe, expect, it } from "vitest";

import { deferred } from "../test/support/deferred.js";
import { oneCache } from "../test/support/one-cache.js";
import { key } from "./index.js";

const start = oneCache();

describe("wrap", () => {
  it("calls the function once for equal arguments, and once for overlapping calls", async () => {
    const { cache } = start();
    const load = deferred<string>();
    const calls: number[] = [];
    const find = cache.wrap(
      (id: number) => {
        calls.push(id);
        return load.promise;
      },
      { name: "find" },
    );
    const both = [find(1), find(1)];
    load.resolve("v");
    expect(await Promise.all(both)).toEqual(["v", "v"]);
    expect(await find(1)).toBe("v");
    await find(2);
    expect(calls).toEqual([1, 2]);
  });

  it("tells apart arguments of every type, number and order", async () => {
    const { cache } = start();
    const echo = cache.wrap((...args: (string | number | boolean | null)[]) => JSON.stringify(args), { name: "echo" });
    const calls = [
      [],
      [1],
      ["1"],
      [1, 2],
      ["1:2"],
      ["1", "2"],
      [2, 1],
      [true],
      ["true"],
      [null],
      ["null"],
      [""],
      ["", ""],
    ];
    for (const args of calls) expect(await echo(...args)).toBe(JSON.stringify(args));
    for (const args of calls) expect(await echo(...args)).toBe(JSON.stringify(args));
    expect(cache.stats().total.loads).toBe(calls.length);
  });

  it("makes its key of what `key` says, else of all arguments", async () => {
    const { cache } = start();
    const byId = cache.wrap((user: { id: number; name: string }) => user.name, {
      name: "byId",
      key: (user) => user.id,
    });
    expect(await byId({ id: 1, name: "a" })).toBe("a");
    expect(await byId({ id: 1, name: "b" })).toBe("a");
    expect(byId.key({ id: 1, name: "c" })).toBe("byId:1");
    const byParts = cache.wrap((a: string, b: string) => a + b, { name: "parts", key: (a, b) => [a, b] });
    expect(byParts.key("x:y", "z")).toBe("parts:x%3Ay:z");
    const byKey = cache.wrap((a: string) => a, { name: "key", key: (a) => key`x:${a}` });
    await byKey("1:2");
    expect(byKey.peek("1:2")).toBe("1:2");
  });

  it("an argument that cannot be part of a key, or a key function that throws, is a rejection", async () => {
    const { cache } = start();
    const failure = new Error("key");
    const wrong = cache.wrap((value: unknown) => value, { name: "w" });
    const throwing = cache.wrap((value: unknown) => value, {
      name: "t",
      key: () => {
        throw failure;
      },
    });
    for (const argument of [undefined, () => 1, Symbol("s"), Number.NaN, new Map()])
      await expect(wrong(argument)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    await expect(throwing(1)).rejects.toBe(failure);
    await expect(throwing.refresh(1)).rejects.toBe(failure);
    await expect(throwing.invalidate(1)).rejects.toBe(failure);
    expect(() => throwing.peek(1)).toThrow(failure);
  });

  it("refresh, peek, invalidate and invalidateAll mean its own entries only", async () => {
    const { cache } = start();
    let calls = 0;
    const count = cache.wrap((_id: number) => (calls += 1), { name: "count" });
    const counter = cache.wrap((_id: number) => "other", { name: "counter" });
    expect(count.peek(1)).toBeUndefined();
    expect(await count(1)).toBe(1);
    expect(count.peek(1)).toBe(1);
    expect(await count.refresh(1)).toBe(2);
    expect((await count.invalidate(1)).hit).toBe(1);
    expect(await count(1)).toBe(3);
    await count(2);
    await counter(1);
    await count.invalidateAll();
    expect([count.peek(1), count.peek(2), counter.peek(1)]).toEqual([undefined, undefined, "other"]);
  });

  it("tags results by themselves and by the options, which are as for any load", async () => {
    const { cache } = start();
    const find = cache.wrap(async (id: number) => ({ id, team: 7 }), {
      name: "find",
      ttl: "9s",
      tags: ["found"],
      tagsOf: (value, id) => [`team:${value.team}`, `id:${id}`],
    });
    await find(1);
    expect((await cache.explain(["find", 1])).tiers[0]).toMatchObject({
      freshFor: 9_000,
      tags: ["global:found", "global:team:7", "global:id:1"],
    });
    await cache.invalidate({ tag: "team:7" });
    expect(find.peek(1)).toBeUndefined();
  });

  it("is its cache's or namespace's own", async () => {
    const { cache } = start();
    const [a, b] = [cache.namespace("a"), cache.namespace("b")].map((room, index) =>
      room.wrap(() => index, { name: "f" }),
    );
    expect([await a?.(), await b?.()]).toEqual([0, 1]);
    await a?.invalidateAll();
    expect([a?.peek(), b?.peek()]).toEqual([undefined, 1]);
  });

  it("rejects with what the function throws, at once or later", async () => {
    const { cache } = start();
    const failure = new Error("f");
    const now = cache.wrap(
      () => {
        throw failure;
      },
      { name: "now" },
    );
    const later = cache.wrap(() => Promise.reject(failure), { name: "later" });
    await expect(now()).rejects.toBe(failure);
    await expect(later()).rejects.toBe(failure);
  });

  it.each([undefined, "", 5])("refuses the name %o: two functions may have none, or the same", (name) => {
    const { cache } = start();
    expect(() => cache.wrap(() => 1, { name: name as string })).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining("`name`") }),
    );
    expect(() => cache.wrap(() => 1, undefined as never)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION" }),
    );
  });
});

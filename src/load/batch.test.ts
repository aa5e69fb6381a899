import { describe, expect, it } from "vitest";

import { deferred } from "../../test/support/deferred.js";
import { Batch } from "./batch.js";
import { LoadContext } from "./context.js";
import { Demand, LoadGate } from "./gate.js";

const gone = new Error("gone");

function context(key: string): LoadContext {
  const signal = (): AbortSignal => new AbortController().signal;
  return new LoadContext({ key, previous: undefined, signal, demand: new Demand(), tagPaths: () => [] });
}

function setUp(
  loader: (missing: readonly string[], signal: AbortSignal) => unknown,
  gate = new LoadGate(1, 10),
): { batch: Batch<string>; calls: string[][]; gate: LoadGate } {
  const calls: string[][] = [];
  const batch = new Batch<string>((missing, { signal }) => {
    calls.push([...missing]);
    return loader(missing, signal) as Promise<string[]>;
  }, gate);
  return { batch, calls, gate };
}

const echo = async (missing: readonly string[]): Promise<string[]> => missing.map((item) => `${item}!`);

describe("Batch", () => {
  it("calls the loader when the fate of every item is known, with those that load", async () => {
    const { batch, calls } = setUp(echo);
    const [a, b, c] = ["a", "b", "c"].map((item) => batch.item(item)) as [
      ReturnType<typeof batch.item>,
      ReturnType<typeof batch.item>,
      ReturnType<typeof batch.item>,
    ];
    const loads = [a.load(context("a")), c.load(context("c"))];
    await Promise.resolve();
    expect(calls).toEqual([]);
    b.decide();
    b.decide();
    expect(await Promise.all(loads)).toEqual(["a!", "c!"]);
    expect(calls).toEqual([["a", "c"]]);
  });

  it("does not wait for an item that waits for somebody else, which loads later by itself", async () => {
    const { batch, calls } = setUp(echo);
    const [a, b] = [batch.item("a"), batch.item("b")];
    b.decide();
    expect(await a.load(context("a"))).toBe("a!");
    expect(await b.load(context("b"))).toBe("b!");
    expect(calls).toEqual([["a"], ["b"]]);
  });

  it("calls no loader when no item loads", async () => {
    const { batch, calls, gate } = setUp(echo);
    for (const item of ["a", "b"]) batch.item(item).decide();
    await Promise.resolve();
    expect(calls).toEqual([]);
    expect(gate.active).toBe(0);
  });

  it("says of an item whether a flight of its own was begun", () => {
    const { batch } = setUp(echo);
    const item = batch.item("a");
    expect(item.begun).toBe(false);
    item.begin();
    expect(item.begun).toBe(true);
    item.decide();
  });

  it("once all items of a call are given up, its signal is aborted and its place is free, whatever the loader does", async () => {
    let seen: AbortSignal | undefined;
    const { batch, gate } = setUp((_missing, signal) => {
      seen = signal;
      return new Promise(() => undefined);
    });
    const items = ["a", "b"].map((item) => batch.item(item));
    const loads = items.map((item, index) => item.load(context(String(index))).catch((error: unknown) => error));
    await new Promise((resolve) => setImmediate(resolve));
    expect(gate.active).toBe(1);
    items[0]?.abort(gone);
    items[0]?.abort(gone);
    expect(seen?.aborted).toBe(false);
    items[1]?.abort(gone);
    expect([seen?.aborted, seen?.reason]).toEqual([true, gone]);
    expect(await Promise.all(loads)).toEqual([gone, gone]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(gate.active).toBe(0);
  });

  it("an item given up before its call takes no part in it", async () => {
    const { batch, calls } = setUp(echo);
    const [a, b] = [batch.item("a"), batch.item("b")];
    void a.load(context("a"));
    a.abort(gone);
    expect(await b.load(context("b"))).toBe("b!");
    expect(calls).toEqual([["b"]]);
  });

  it("one given up while the call waits for a place calls no loader", async () => {
    const gate = new LoadGate(1, 10);
    const place = await gate.enter(() => new AbortController().signal);
    const { batch, calls } = setUp(echo, gate);
    const item = batch.item("a");
    const load = item.load(context("a")).catch((error: unknown) => error);
    await new Promise((resolve) => setImmediate(resolve));
    expect(gate.queued).toBe(1);
    item.abort(gone);
    expect(await load).toBe(gone);
    place.leave();
    expect([gate.active, gate.queued, calls]).toEqual([0, 0, []]);
  });

  it("gives its place back when the loader fails, in whatever way", async () => {
    const late = deferred<string[]>();
    late.promise.catch(() => undefined);
    for (const loader of [
      (): never => {
        throw gone;
      },
      () => Promise.reject(gone),
      () => late.promise,
    ]) {
      const { batch, gate } = setUp(loader);
      const load = batch.item("a").load(context("a"));
      late.reject(gone);
      await expect(load).rejects.toBe(gone);
      await new Promise((resolve) => setImmediate(resolve));
      expect(gate.active).toBe(0);
    }
  });
});

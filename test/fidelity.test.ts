import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";

import type { Cache } from "../src/index.js";
import { encodeEnvelope, newStamp } from "../src/entries/envelope.js";
import type { SharedStep, SharedMemory } from "../src/testing/index.js";
import { cachesOn } from "./support/caches-on.js";
import { processes, type Processes } from "./support/processes.js";

let running: Processes | undefined;

async function start(...args: Parameters<typeof processes>): Promise<Processes & { a: Cache; b: Cache }> {
  running = await processes(...args);
  const [a, b] = running.caches;
  return { ...running, a: a as Cache, b: b as Cache };
}

afterEach(async () => {
  await running?.close();
  running = undefined;
});

/** Everything that a value may be, and much that other caches lose. */
const VALUES: readonly [string, () => unknown][] = [
  ["undefined", () => undefined],
  ["null", () => null],
  ["false", () => false],
  ["true", () => true],
  ["0", () => 0],
  ["-0", () => -0],
  ["NaN", () => Number.NaN],
  ["Infinity", () => Number.NEGATIVE_INFINITY],
  ["2^53", () => 2 ** 53],
  ["a fraction", () => 0.1],
  ["the empty string", () => ""],
  ["text", () => "naïve \u0000 𝒳 日本"],
  ["a lone surrogate", () => "\ud800"],
  ["a bigint", () => -(2n ** 100n)],
  ["a date", () => new Date(1_700_000_000_123)],
  ["an invalid date", () => new Date(Number.NaN)],
  [
    "a map",
    () =>
      new Map<unknown, unknown>([
        ["k", 1],
        [2, new Map([[null, undefined]])],
        [Number.NaN, -0],
      ]),
  ],
  ["a set", () => new Set<unknown>([1, "1", 1n, null, undefined])],
  ["bytes", () => Uint8Array.of(0, 255, 128)],
  ["no bytes", () => new Uint8Array(0)],
  ["other numbers", () => Float64Array.of(Number.NaN, -0, 1.5)],
  ["an empty object", () => ({})],
  ["an empty array", () => []],
  ["names of the prototype", () => ({ constructor: 1, toString: "x", hasOwnProperty: null, valueOf: undefined })],
  ["undefined in places", () => ({ a: undefined, b: [undefined, null, 0, "", false] })],
  ["numbers as names", () => ({ 1: "a", "-1": "b", "01": "c", "": "d" })],
  [
    "nested things",
    () => ({
      at: new Date(0),
      tags: new Set(["x"]),
      deep: [{ map: new Map([["k", { big: 1n, zero: -0 }]]) }],
      bytes: Uint8Array.of(1),
    }),
  ],
];

describe.each(VALUES)("%s is what you get", (_name, make) => {
  it("from getOrLoad, memory, another process, getMany, and after it was set", async () => {
    const { a, b, settle } = await start(2);
    const value = make();
    let loads = 0;
    const load = (): unknown => {
      loads += 1;
      return make();
    };
    expect(await a.getOrLoad("loaded", load)).toStrictEqual(value);
    expect(await a.getOrLoad("loaded", load)).toStrictEqual(value);
    expect(a.peek("loaded")).toStrictEqual(value);
    expect(await a.get("loaded")).toStrictEqual(value);
    expect(await b.getOrLoad("loaded", load)).toStrictEqual(value);
    expect(b.peek("loaded")).toStrictEqual(value);
    expect(loads).toBe(1);
    await a.set("set", make());
    await a.setMany([["many", make()]]);
    await a.writeThrough("through", async () => make());
    await settle();
    for (const cache of [a, b]) {
      expect(await cache.has("set")).toBe(true);
      expect(await cache.getMany(["set", "many", "through", "loaded"])).toStrictEqual([value, value, value, value]);
      expect(
        await cache.getOrLoadMany(
          ["set", "many"],
          (key) => key,
          async () => [],
        ),
      ).toStrictEqual([value, value]);
    }
    expect(a.stats().total.misses + b.stats().total.misses).toBe(1);
  });
});

const anyValue = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: false,
  withNullPrototype: false,
  withObjectString: false,
  maxDepth: 3,
});

it("any value at all is the same in every process, or refused by set and handed through by getOrLoad", async () => {
  const { a, b } = await start(2);
  let n = 0;
  await fc.assert(
    fc.asyncProperty(anyValue, async (value) => {
      const key = `k${(n += 1)}`;
      const refused = await a.set(key, value).then(
        () => false,
        (error: unknown) => {
          expect(error).toMatchObject({ code: "ERR_CACHE_VALUE" });
          return true;
        },
      );
      if (refused) {
        expect(await a.getOrLoad(key, () => value)).toBe(value);
        expect(await b.has(key)).toBe(false);
      } else {
        expect(a.peek(key)).toStrictEqual(value);
        expect(await b.get(key)).toStrictEqual(value);
        expect(b.peek(key)).toStrictEqual(value);
      }
    }),
    { numRuns: 300 },
  );
});

describe("a value that cannot be stored", () => {
  class User {
    readonly name = "Ada";
  }
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;

  it.each([
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a class instance", new User()],
    ["a cycle", cycle],
    ["a promise in a list", [Promise.resolve(1)]],
  ])("%s: set rejects with ERR_CACHE_VALUE, and changes nothing", async (_name, value) => {
    const { a, b } = await start(2);
    await a.set("k", "before");
    await expect(a.set("k", value)).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    await expect(
      a.setMany([
        ["other", 1],
        ["k", value],
      ]),
    ).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    expect(await a.get("k")).toBe("before");
    expect(await b.get("k")).toBe("before");
    expect(await b.has("other")).toBe(false);
  });

  it("is given to all who waited for its load, counted, and stored nowhere", async () => {
    const { a, b } = await start(2);
    const user = new User();
    expect(await Promise.all([a.getOrLoad("k", () => user), a.getOrLoad("k", () => new User())])).toEqual([user, user]);
    expect(a.stats().total.refused).toEqual({ unstorable: 1 });
    expect(await b.has("k")).toBe(false);
    // Nor does its lease stand in the way of the next.
    expect(await b.getOrLoad("k", () => "plain")).toBe("plain");
  });

  it("is given by writeThrough as well, and what was stored before is gone", async () => {
    const { a, b, settle } = await start(2);
    await a.set("k", "before");
    await b.get("k");
    const user = new User();
    expect(await a.writeThrough("k", async () => user)).toBe(user);
    await settle();
    expect(a.peek("k")).toBeUndefined();
    expect(b.peek("k")).toBeUndefined();
    expect(await b.has("k")).toBe(false);
  });
});

describe("what callers do to a value", () => {
  it("they gave or got changes nothing for anybody", async () => {
    const { a, b } = await start(2);
    const value = { list: [1], at: new Date(0), map: new Map([["k", 1]]), bytes: Uint8Array.of(1) };
    await a.set("k", value);
    value.list.push(2);
    value.at.setTime(1);
    value.map.clear();
    value.bytes[0] = 9;
    const whole = { list: [1], at: new Date(0), map: new Map([["k", 1]]), bytes: Uint8Array.of(1) };
    for (const cache of [a, b]) {
      const got = (await cache.get("k")) as typeof value;
      expect(got).toEqual(whole);
      expect(() => got.list.push(2)).toThrow(TypeError);
      got.at.setTime(1);
      got.map.clear();
      got.bytes[0] = 9;
      expect(await cache.get("k")).toEqual(whole);
      expect(cache.peek("k")).toEqual(whole);
    }
  });

  it("they are about to have stored changes nothing either, also where something is awaited first", async () => {
    const { clock, server } = await start(0);
    // Which has not met the log yet.
    const [cache] = cachesOn([{ factory: server.factory() }], clock, {}) as [Cache];
    const rows = cache.entity<string, { v: number; text: string }>({ name: "row", rowVersion: ({ v }) => v });
    const given = [
      { v: 1, text: "given" },
      { v: 1, text: "given" },
    ] as const;
    const stored = [cache.set("k", given[0]), rows.set("r", given[1])];
    for (const value of given) Object.assign(value, { text: "changed" });
    await Promise.all(stored);
    expect(await cache.get("k")).toEqual({ v: 1, text: "given" });
    expect(await rows.find("r")).toEqual({ v: 1, text: "given" });
    await cache.close();
  });
});

/** Puts bytes where an entry would be, as somebody who does not know the cache might. */
async function putBytes(server: SharedMemory, key: string, bytes: Uint8Array): Promise<void> {
  const tier = server.factory().open("test");
  await tier.leases.acquire(key, { token: "somebody", ttl: 1_000, takeOver: true });
  expect(await tier.leases.fill(key, "somebody", bytes, 3_600_000)).toBe(true);
  await tier.close();
}

async function bytesOf(server: SharedMemory, key: string): Promise<Uint8Array> {
  const tier = server.factory().open("test");
  const { values } = await tier.store.read([key]);
  await tier.close();
  return values[0] as Uint8Array;
}

function bounded(steps: number): (step: SharedStep) => void {
  let left = steps;
  return (step) => {
    // A loop of asking and being told the same would otherwise never give the test a turn to fail in.
    if ((left -= 1) > 0) queueMicrotask(() => step.run());
  };
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

describe("bytes that are not an entry of ours", () => {
  const FOREIGN: readonly [string, Uint8Array][] = [
    ["nothing", new Uint8Array(0)],
    ["one byte", Uint8Array.of(0x74)],
    ["the magic alone", Uint8Array.of(0x74, 0xc5)],
    ["eleven bytes", new Uint8Array(11)],
    ["JSON", text('{"value":{"admin":true},"expires":1700000000000}')],
    [
      "text with the flag of softness where ours is",
      Uint8Array.of(0x61, 0x61, 0x61, 1, ...text("and a good deal more")),
    ],
    ["zeroes", new Uint8Array(200)],
    ["a header and nothing after it", Uint8Array.of(0x74, 0xc5, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8)],
    [
      "a serialized object of the engine's",
      Uint8Array.of(0xff, 0x0f, 0x41, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0),
    ],
  ];

  it.each(FOREIGN)("%s: a miss, counted as corrupt, healed by the next fill", async (_name, bytes) => {
    const { a, b, server, settle } = await start(2, {}, { schedule: bounded(2_000) });
    const told: string[] = [];
    a.on("corrupt", ({ key }) => told.push(key));
    await putBytes(server, "k", bytes);
    expect(await a.get("k")).toBeUndefined();
    expect(a.stats().total.missReasons).toEqual({ corrupt: 1 });
    expect(a.stats().shared?.corrupt).toBe(1);
    expect(told).toEqual(["k"]);
    await settle();
    await putBytes(server, "k", bytes);
    expect(await a.getOrLoad("k", () => "loaded")).toBe("loaded");
    expect(await b.getOrLoad("k", () => "never")).toBe("loaded");
    expect(b.stats().shared?.corrupt).toBe(0);
  });

  it.each(FOREIGN)("%s: met while another process's load is waited for, too", async (_name, bytes) => {
    const { a, clock, server } = await start(1, {}, { schedule: bounded(5_000) });
    const tier = server.factory().open("test");
    await tier.leases.acquire("k", { token: "somebody", ttl: 1_000, takeOver: true });
    const read = a.getOrLoad("k", () => "loaded");
    await clock.advance(0);
    await tier.leases.fill("k", "somebody", bytes, 3_600_000);
    await clock.advance(1_000);
    expect(await read).toBe("loaded");
    await tier.close();
  });

  it("any bytes: never data, never an error, and the next fill heals them", async () => {
    const { a, server, settle } = await start(1);
    let n = 0;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const key = `k${(n += 1)}`;
        await putBytes(server, key, bytes);
        expect(await a.get(key)).toBeUndefined();
        expect(await a.getOrLoad(key, () => "loaded")).toBe("loaded");
        await settle();
      }),
      { numRuns: 200 },
    );
    expect(a.stats().total.missReasons.corrupt).toBeGreaterThanOrEqual(200);
  });
});

describe("an entry of ours that came to harm", () => {
  const VALUE = { name: "Ada", tags: ["x"], at: new Date(5) };

  it("is a miss when any one bit of it is flipped, but for the flag that makes it stale", async () => {
    const { a, b, server } = await start(2);
    await a.set("whole", VALUE, { tags: ["t"] });
    const whole = await bytesOf(server, "whole");
    expect(whole.length).toBeGreaterThan(72);
    for (let at = 0; at < whole.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        // Bit 0 of byte 3 is the flag itself: set, the entry is whole and stale.
        const bytes = whole.slice();
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        await putBytes(server, "k", bytes);
        expect(await b.get("k")).toBeUndefined();
        if (at === 3 && bit === 0) expect(b.stats().total.missReasons.expired).toBe(1);
        expect(b.peek("k")).toBeUndefined();
      }
    }
    expect(b.stats().shared?.corrupt).toBe(whole.length * 8 - 1);
  });

  it("is a miss wherever it is torn", async () => {
    const { a, b, server } = await start(2);
    await a.set("whole", VALUE);
    const whole = await bytesOf(server, "whole");
    for (let length = 0; length < whole.length; length += 1) {
      await putBytes(server, "k", whole.subarray(0, length));
      expect(await b.get("k")).toBeUndefined();
    }
    await putBytes(server, "k", Uint8Array.of(...whole, 0));
    expect(await b.get("k")).toBeUndefined();
    await putBytes(
      server,
      "k",
      Uint8Array.of(...whole.subarray(0, whole.length / 2), ...whole.subarray(0, whole.length / 2)),
    );
    expect(await b.get("k")).toBeUndefined();
    expect(b.stats().total.missReasons).toEqual({ corrupt: whole.length + 2 });
    await putBytes(server, "k", whole);
    expect(await b.get("k")).toEqual(VALUE);
  });

  it("is a miss when written in another format version", async () => {
    const { a, b, server } = await start(2);
    await a.set("whole", VALUE);
    for (const version of [0, 2, 255]) {
      const bytes = await bytesOf(server, "whole");
      bytes[2] = version;
      await putBytes(server, "k", bytes);
      expect(await b.get("k")).toBeUndefined();
    }
    expect(b.stats().total.missReasons).toEqual({ corrupt: 3 });
    expect(await b.getOrLoad("k", () => "loaded")).toBe("loaded");
  });

  it("is never newer than the log: a position from the future could not be invalidated", async () => {
    const { a, b, clock, server, settle } = await start(2);
    const fields = {
      value: "immortal",
      ttl: 3_600_000,
      staleWhileRevalidate: 0,
      staleIfError: 0,
      loadCost: 0,
      tags: ["global:t"],
      fingerprint: 0,
      etag: undefined,
      sliding: false,
    };
    const bytes = encodeEnvelope({ ...fields, stamp: newStamp(), position: 2 ** 52 }, clock.wall());
    await putBytes(server, "k", bytes);
    await b.invalidate({ tag: "t" });
    await settle();
    expect(await a.get("k")).toBeUndefined();
    expect(await a.getOrLoad("k", () => "loaded")).toBe("loaded");
  });

  it("does not harm its neighbours in the same command", async () => {
    const { a, b, server } = await start(2);
    await a.setMany([
      ["x", 1],
      ["y", 2],
      ["z", 3],
    ]);
    await putBytes(server, "y", text("rubbish that is long enough"));
    expect(await b.getMany(["x", "y", "z"])).toEqual([1, undefined, 3]);
  });
});

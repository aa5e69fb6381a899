import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { createCache } from "./cache.js";
import { toMilliseconds } from "./duration.js";
import { COMPRESSION_DEFAULTS, resolveCompression } from "./entries/compress.js";
import { resolveEncryption } from "./entries/encrypt.js";
import { MAX_KEY_LENGTH } from "./keys.js";
import {
  DEFAULT_POLICY,
  display,
  knownOptions,
  POLICY_FIELDS,
  resolvePolicy,
  saysPolicy,
  wholeNumber,
} from "./policy.js";
import { FakeClock } from "./testing/index.js";
import { resolveShared } from "./tiers/shared-side.js";
import { MEMORY_DEFAULTS, resolveMemory } from "./tiers/memory/memory.js";

/** The `@default` tags of an interface of `options.ts`, by field; `undefined` for a field without one. */
function documented(name: string): Record<string, string | undefined> {
  const source = readFileSync(new URL("./options.ts", import.meta.url), "utf8");
  const body = new RegExp(`export interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(source)?.[1];
  if (body === undefined) throw new Error(`options.ts declares no interface ${name}`);
  const fields: Record<string, string | undefined> = {};
  for (const [, doc, field] of body.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:readonly )?(\w+)\??:/g)) {
    if (doc === undefined || field === undefined) continue;
    fields[field] = /@default (.*?)\s*$/.exec(doc)?.[1];
  }
  return fields;
}

/** A documented default as the value it names: `"5m"` and `0.05` are what they read as in TypeScript. */
function read(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  return /^(?:"[^"]*"|[\d._e]+|true|false)$/.test(text) ? (JSON.parse(text) as unknown) : text;
}

describe("the defaults are what the docs of the options say", () => {
  it("of an entry's policy", () => {
    const docs = documented("EntryPolicy");
    expect(Object.keys(docs).sort()).toEqual([...POLICY_FIELDS].sort());
    const ms = (field: string): number => toMilliseconds(read(docs[field]) as string, field);
    for (const field of ["ttl", "maxTtl", "hardTimeout", "staleWhileRevalidate", "staleIfError"] as const)
      expect(DEFAULT_POLICY[field], field).toBe(ms(field));
    for (const field of ["jitter", "sliding", "earlyRefresh"] as const)
      expect(DEFAULT_POLICY[field], field).toBe(read(docs[field]));
    expect(docs["softTimeout"]).toBe("none");
    expect(DEFAULT_POLICY.softTimeout).toBe(Number.POSITIVE_INFINITY);
    expect(docs["negativeTtl"]).toBe("the same as `ttl`");
    expect(DEFAULT_POLICY.negativeTtl).toBeUndefined();
    expect(DEFAULT_POLICY.staleThrottle).toBe(
      toMilliseconds(read(documented("StaleIfError")["throttle"]) as string, "throttle"),
    );
    expect(docs["tierTtl"]).toBeUndefined();
    expect([DEFAULT_POLICY.memoryTtl, DEFAULT_POLICY.sharedTtl]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
  });

  it("of a shared tier", () => {
    const docs = documented("SharedOptions");
    const settings = resolveShared({});
    expect(Object.keys(docs).sort()).toEqual(Object.keys(settings).sort());
    for (const field of ["timeout", "breakerCooldown", "leaseTtl", "heartbeat"] as const) {
      expect(settings[field], field).toBe(toMilliseconds(read(docs[field]) as string, field));
    }
    expect(settings.breakerFailures).toBe(read(docs["breakerFailures"]));
    expect(docs["maxStaleness"]).toMatch(/^none/);
    expect(settings.maxStaleness).toBe(Number.POSITIVE_INFINITY);
  });

  it("of compression and encryption", () => {
    const docs = documented("CompressionOptions");
    expect(Object.keys(docs).sort()).toEqual(Object.keys(COMPRESSION_DEFAULTS).sort());
    expect(read(docs["algorithm"])).toBe(COMPRESSION_DEFAULTS.algorithm);
    expect(read(docs["threshold"])).toBe(COMPRESSION_DEFAULTS.threshold);
    const cache = documented("CacheOptions");
    expect(read(cache["compression"])).toBe(false);
    expect(resolveCompression(undefined, undefined)).toBeUndefined();
    expect(cache["encryption"]).toBe("none");
    expect(resolveEncryption("cache", undefined)).toBeUndefined();
    expect(read(documented("EncryptionOptions")["entries"])).toBe("declared");
    const keys = [{ id: "k", secret: new Uint8Array(32) }];
    expect(resolveEncryption("cache", { keys })?.all).toBe(false);
  });

  it("of memory", () => {
    const docs = documented("MemoryOptions");
    expect(MEMORY_DEFAULTS.maxEntries).toBe(read(docs["maxEntries"]));
    expect(MEMORY_DEFAULTS.maxBytes).toBe(read(docs["maxBytes"]));
    expect(docs["maxEntryBytes"]).toBe("an eighth of maxBytes");
    const { maxBytes, maxEntryBytes } = resolveMemory({});
    expect(maxEntryBytes).toBe(maxBytes / 8);
  });

  it("of a cache", async () => {
    const docs = documented("CacheOptions");
    expect(MAX_KEY_LENGTH).toBe(read(docs["maxKeyLength"]));
    expect(docs["tiers"]).toBe("[memory()]");
    expect(docs["isolation"]).toBe('"freeze"');
    expect(docs["loads"]).toBe("{ concurrency: 64, queue: 10000 }");
    const clock = new FakeClock();
    const cache = createCache({ clock });
    expect(cache.name).toBe(read(docs["name"]));
    expect(cache.stats()).toMatchObject({ memory: { maxEntries: MEMORY_DEFAULTS.maxEntries }, shared: undefined });
    await cache.set("k", { a: 1 });
    expect(Object.isFrozen(cache.peek("k"))).toBe(true);
    let running = 0;
    const loader = (): Promise<never> => {
      running += 1;
      return new Promise(() => undefined);
    };
    const reads = Array.from({ length: 10_065 }, (_, index) =>
      cache.getOrLoad(`k${index}`, loader).catch((error: { code: string }) => error.code),
    );
    await expect(reads.at(-1)).resolves.toBe("ERR_CACHE_OVERLOADED");
    expect(running).toBe(64);
    expect(cache.stats().gate).toEqual({ active: 64, queued: 10_000 });
    const closing = cache.close();
    await clock.advance(5_000);
    await closing;
    expect(new Set(await Promise.all(reads))).toEqual(new Set(["ERR_CACHE_CLOSED", "ERR_CACHE_OVERLOADED"]));
  });
});

describe("resolvePolicy", () => {
  it("lays a policy over another field by field, and turns lengths of time into milliseconds", () => {
    const base = resolvePolicy(
      DEFAULT_POLICY,
      { ttl: "1m", staleIfError: { for: "1h", throttle: "5s" }, tierTtl: { memory: "10s" } },
      {},
    );
    expect(base).toEqual({
      ...DEFAULT_POLICY,
      ttl: "1m",
      staleIfError: 3_600_000,
      staleThrottle: 5_000,
      memoryTtl: 10_000,
    });
    const over = resolvePolicy(base, { tierTtl: { shared: "20s" }, negativeTtl: "1s", softTimeout: "250ms" }, {});
    expect(over).toEqual({ ...base, sharedTtl: 20_000, negativeTtl: 1_000, softTimeout: 250 });
    expect(resolvePolicy(over, {}, {})).toEqual(over);
  });

  it("takes staleIfError whole: another one does not keep the throttle and predicate of the one before", () => {
    const base = resolvePolicy(DEFAULT_POLICY, { staleIfError: { for: "1h", throttle: "5s", when: () => false } }, {});
    expect(resolvePolicy(base, { staleIfError: "2h" }, {})).toMatchObject({
      staleIfError: 7_200_000,
      staleThrottle: 1_000,
      staleWhen: undefined,
    });
  });

  it("lays a preset between the two, one level deep", () => {
    const presets = { a: { ttl: "1s", jitter: 0.5, preset: "b" }, b: { ttl: "9s", sliding: true } };
    expect(resolvePolicy(DEFAULT_POLICY, { preset: "a", jitter: 0 }, presets)).toEqual({
      ...DEFAULT_POLICY,
      ttl: "1s",
      jitter: 0,
    });
    expect(() => resolvePolicy(DEFAULT_POLICY, { preset: "c" }, presets)).toThrow(
      'Expected `preset` to be one of a, b, got `"c"`',
    );
    expect(() => resolvePolicy(DEFAULT_POLICY, { preset: "constructor" }, presets)).toThrow("preset");
  });
});

describe("the checks of options", () => {
  it("saysPolicy: whether any field of a policy is given", () => {
    expect(saysPolicy({})).toBe(false);
    expect(saysPolicy({ ttl: undefined, tags: ["t"] } as object)).toBe(false);
    for (const field of POLICY_FIELDS) expect(saysPolicy({ [field]: 0 }), field).toBe(true);
  });

  it("knownOptions: names the option, and what is known", () => {
    expect(() => knownOptions({ a: 1, b: undefined }, ["a", "b"], "x")).not.toThrow();
    expect(() => knownOptions({ c: 1 }, ["a", "b"], "x")).toThrow('Expected `x option` to be one of a, b, got `"c"`');
    expect(() => knownOptions(null as never, ["a"], "x")).toThrow("Expected `x` to be an object, got `null`");
  });

  it("wholeNumber: an integer from the least on", () => {
    expect(wholeNumber(0, "n", 0)).toBe(0);
    for (const n of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1", null, 1n]) {
      expect(() => wholeNumber(n, "n", 0)).toThrow(expect.objectContaining({ code: "ERR_CACHE_OPTION" }));
    }
  });

  it("display: short, and without calling anything of the value's own", () => {
    const evil = {
      toString: () => expect.unreachable(),
      [Symbol.toPrimitive]: () => expect.unreachable(),
    };
    expect(display(evil)).toBe("an object");
    expect(display(Object.create(null))).toBe("an object");
    expect([
      display("a"),
      display([1]),
      display(() => 1),
      display(null),
      display(undefined),
      display(5n),
      display(Symbol("s")),
    ]).toEqual(['"a"', "an array", "a function", "null", "undefined", "5", "Symbol(s)"]);
    expect(display("x".repeat(1_000)).length).toBeLessThan(70);
  });
});

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { tsImport } from "tsx/esm/api";
import { afterAll, describe, expect, it } from "vitest";
import { createCache } from "./cache.js";
import { cached, createDecorators, invalidates } from "./decorators.js";
import { FakeClock } from "./testing/fake-clock.js";
import type * as decorated from "../test/support/decorated-rates.js";

type Decorated = typeof decorated;

const folders: string[] = [];
const source = fileURLToPath(new URL("../test/support/decorated-rates.ts", import.meta.url));

/** The test runner's own transform leaves decorators as they are, so the classes are compiled as a service would. */
async function compile(compiler: string): Promise<Decorated> {
  if (compiler === "esbuild") return (await tsImport(source, import.meta.url)) as Decorated;
  const folder = await mkdtemp(join(tmpdir(), "tiercache-decorators-"));
  folders.push(folder);
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const options = [
    "--ignoreConfig",
    "--noCheck",
    "--noResolve",
    "--types",
    "",
    "--target",
    "es2023",
    "--module",
    "esnext",
    "--outDir",
    folder,
  ];
  await promisify(execFile)(process.execPath, [tsc, ...options, source]);
  const compiled = join(folder, "decorated-rates.js");
  return (await import(/* @vite-ignore */ pathToFileURL(compiled).href)) as Decorated;
}

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

describe.each(["TypeScript", "esbuild"])("decorators compiled by %s", async (compiler) => {
  const { decoratedRates } = await compile(compiler);
  const setUp = (cache = createCache()) => ({
    cache,
    Rates: decoratedRates({ cached, invalidates, createDecorators }, cache),
  });

  it("call the method once for each key", async () => {
    const rates = new (setUp().Rates)();
    expect(await rates.find("EUR", "USD")).toEqual({ pair: "EUR/USD", rate: 1 });
    expect(await rates.find("EUR", "USD", "de")).toEqual({ pair: "EUR/USD", rate: 1 });
    expect(await rates.find("USD", "EUR")).toEqual({ pair: "USD/EUR", rate: 1 });
    expect(rates.calls).toEqual(["find EUR USD", "find USD EUR"]);
  });

  it("keep `this`, private members included", async () => {
    const { Rates } = setUp();
    expect(await new Rates().secret()).toBe("secret");
    expect(await new Rates().reset()).toBe("secret");
  });

  it("take all arguments for the key, those left out at the end for absent", async () => {
    const rates = new (setUp().Rates)();
    const first = await rates.plain();
    expect(await rates.plain(undefined)).toBe(first);
    for (const args of [[1], ["1"], [1, null], [null, 1], [{ a: 1 }], [new Date(0)], ["a", "b"], ["a:b"]]) {
      const answer = await rates.plain(...args);
      expect(await rates.plain(...args)).toBe(answer);
    }
    expect(rates.calls).toHaveLength(9);
  });

  it("refuse arguments that are no key", async () => {
    const rates = new (setUp().Rates)();
    await expect(rates.plain(() => 1)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    await expect(rates.plain(undefined, 1)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    expect(rates.calls).toEqual([]);
  });

  it("share entries between instances, unless `instance` tells them apart", async () => {
    const { Rates } = setUp();
    const [paris, milan] = [new Rates("paris"), new Rates("milan")];
    await paris.find("EUR", "USD");
    await milan.find("EUR", "USD");
    expect(milan.calls).toEqual([]);
    for (let round = 0; round < 2; round++) {
      expect(await paris.open("Monday")).toBe("paris on Monday");
      expect(await milan.open("Monday")).toBe("milan on Monday");
    }
    expect([paris.calls.length, milan.calls.length]).toEqual([2, 1]);
  });

  it("ask each instance for its cache", async () => {
    const { Rates } = setUp();
    const [one, two] = [new Rates("paris", createCache()), new Rates("paris", createCache())];
    await one.open("Monday");
    await two.open("Monday");
    expect([one.calls, two.calls]).toEqual([["open Monday"], ["open Monday"]]);
  });

  it("leave a call alone when the condition does not hold", async () => {
    const rates = new (setUp().Rates)();
    for (const pair of ["", "", "a", "a"]) expect(await rates.some(pair)).toBe(pair);
    expect(rates.calls).toEqual(["some ", "some ", "some a"]);
  });

  it("work on static methods", async () => {
    const { Rates } = setUp();
    expect([await Rates.all("paris"), await Rates.all("paris")]).toEqual(["paris", "paris"]);
    expect(Rates.calls).toEqual(["all paris"]);
  });

  it("keep entries for as long as they say", async () => {
    const clock = new FakeClock();
    const rates = new (setUp(createCache({ clock, jitter: 0 })).Rates)();
    await rates.find("EUR", "USD");
    await clock.advance(59_999);
    await rates.find("EUR", "USD");
    expect(rates.calls).toHaveLength(1);
    await clock.advance(1);
    await rates.find("EUR", "USD");
    expect(rates.calls).toHaveLength(2);
  });

  it("invalidate by tags from the result, once the write has resolved", async () => {
    const rates = new (setUp().Rates)();
    await Promise.all([rates.find("EUR", "USD"), rates.find("GBP", "USD")]);
    expect(await rates.update("EUR", "USD", 2)).toEqual({ pair: "EUR/USD", rate: 2 });
    expect(await rates.find("EUR", "USD")).toMatchObject({ rate: 2 });
    expect(await rates.find("GBP", "USD")).toMatchObject({ rate: 1 });
  });

  it("invalidate after a rejected write too, and give its error", async () => {
    const rates = new (setUp().Rates)();
    await rates.find("EUR", "USD");
    await expect(rates.update("EUR", "USD", -1)).rejects.toThrow(RangeError);
    expect(await rates.find("EUR", "USD")).toMatchObject({ rate: -1 });
  });

  it("invalidate fixed targets", async () => {
    const rates = new (setUp().Rates)();
    await Promise.all([rates.plain(), rates.find("EUR", "???"), rates.find("EUR", "USD")]);
    await rates.reset();
    rates.calls.length = 0;
    await Promise.all([rates.plain(), rates.find("EUR", "???"), rates.find("EUR", "USD")]);
    expect(rates.calls).toEqual(["plain 0", "find EUR ???"]);
  });
});

describe("the options of decorators", () => {
  const cache = createCache();
  const method = async (): Promise<number> => 1;
  const context = (kind: string): never => ({ kind, name: "x", static: false, private: false }) as never;

  it.each<[string, unknown]>([
    ["name", { cache }],
    ["name", { cache, name: "" }],
    ["cache", { name: "x" }],
    ["cache", { name: "x", cache: {} }],
    ["key", { cache, name: "x", key: "id" }],
    ["when", { cache, name: "x", when: true }],
    ["instance", { cache, name: "x", instance: "id" }],
    ["tags", { cache, name: "x", tags: "a" }],
    ["@cached option", { cache, name: "x", tag: "a" }],
    ["ttl", { cache, name: "x", ttl: "soon" }],
  ])("are refused by the name of what is wrong: %s", (option, options) => {
    const expected: unknown = expect.objectContaining({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining(`\`${option}`) as string,
    });
    expect(() => cached(options as Parameters<typeof cached>[0])).toThrow(expected);
  });

  it.each(["getter", "setter", "field", "accessor", "class"])("are refused before a %s", (kind) => {
    const expected: unknown = expect.objectContaining({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining(kind) as string,
    });
    expect(() => cached({ cache, name: "x" })(method, context(kind))).toThrow(expected);
    expect(() => invalidates([], { cache })(method, context(kind))).toThrow(expected);
  });

  it("are refused as legacy decorators", () => {
    expect(() => cached({ cache, name: "x" })(method, "find" as never)).toThrow(/standard decorator/);
    expect(() => createDecorators(undefined as never)).toThrow(/`cache`/);
    expect(() => invalidates([], { cache: undefined as never })).toThrow(/`cache`/);
  });
});

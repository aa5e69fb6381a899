import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createCache, memory } from "../index.js";
import { FakeClock } from "../testing/index.js";
import { keyMarks } from "../testing/suite/session.js";
import { lmdb, LMDB_DEFAULTS, type LmdbOptions } from "./index.js";

let path: string;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "tiercache-lmdb-"));
  return () => rmSync(path, { recursive: true, force: true });
});

describe("lmdb()", () => {
  it.each<[Partial<Record<keyof LmdbOptions, unknown>>, string]>([
    [{ path: "" }, "Expected `path` to be the path of a folder, got ``"],
    [{ path: undefined }, "Expected `path` to be the path of a folder, got `undefined`"],
    [{ maxBytes: "big" }, 'Expected `maxBytes` to be an integer of 1 or more or text like "64mb", got `"big"`'],
    [{ logLength: 0 }, "Expected `logLength` to be an integer of 1 or more, got `0`"],
    [{ maxMarks: 1.5 }, "Expected `maxMarks` to be an integer of 1 or more, got `1.5`"],
    [{ maxRules: -1 }, "Expected `maxRules` to be an integer of 1 or more, got `-1`"],
    [{ pollInterval: 0 }, "Expected `pollInterval` to be longer than 0, got `0`"],
    [{ pollInterval: "soon" }, "Expected `pollInterval` to be milliseconds"],
  ])("refuses %j", (options, message) => {
    expect(() => lmdb({ path, ...options } as LmdbOptions)).toThrow(message);
    expect(() => lmdb({ path, ...options } as LmdbOptions)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION" }) as Error,
    );
  });

  it("has bounds unless it is given others", () => {
    expect(LMDB_DEFAULTS).toEqual({
      maxBytes: "256mb",
      logLength: 50_000,
      maxMarks: 100_000,
      maxRules: 1_000,
      pollInterval: "50ms",
    });
  });

  it("where no file can be had says so, and leaves the cache to its memory and the loader", async () => {
    const file = join(path, "taken");
    writeFileSync(file, "");
    const warnings: string[] = [];
    const tier = lmdb({ path: file, onWarning: (message) => warnings.push(message) });
    const cache = createCache({ name: "c", tiers: [memory(), tier] });
    onTestFinished(() => cache.close());
    expect(warnings[0]).toContain(`The host tier cannot be opened at ${file}: `);
    expect(await cache.getOrLoad("k", async () => "loaded")).toBe("loaded");
    expect(await cache.getOrLoad("k", async () => "again")).toBe("loaded");
    await expect(
      lmdb({ path: file, onWarning: () => undefined })
        .open("c")
        .log.head(),
    ).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
    });
  });

  it("opens again when the place becomes one where it can", async () => {
    const clock = new FakeClock();
    const place = join(path, "taken");
    writeFileSync(place, "");
    const tier = lmdb({ path: place, clock, onWarning: () => undefined }).open("c");
    onTestFinished(() => tier.close());
    await expect(tier.log.head()).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    rmSync(place);
    await clock.advance(1_000);
    expect((await tier.log.head()).position).toBeGreaterThan(0);
  });

  it("shares one file among its caches, closes it with the last, and can be opened anew", async () => {
    const factory = lmdb({ path });
    const [one, two] = [factory.open("one"), factory.open("two")];
    const { head } = await one.store.invalidate([{ kind: "all" }], false, "me");
    await one.close();
    await one.close();
    expect((await two.log.head()).position).not.toBe(head.position);
    await two.close();
    await expect(two.log.head()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    const again = factory.open("one");
    onTestFinished(() => again.close());
    expect(await again.log.head()).toEqual(head);
  });

  it("looks for what others wrote by itself, when their bell is not heard", async () => {
    const clock = new FakeClock();
    const listener = lmdb({ path, clock, pollInterval: 70 }).open("c");
    const types: string[] = [];
    // What is not there cannot be watched.
    rmSync(join(path, "current", "bell"));
    await listener.log.subscribe(({ type }) => types.push(type));
    const writer = lmdb({ path, clock }).open("c");
    onTestFinished(async () => void (await Promise.all([listener.close(), writer.close()])));
    await writer.store.invalidate(keyMarks("a"), false, "me");
    await clock.advance(69);
    expect(types).toEqual(["up"]);
    await clock.advance(1);
    expect(types).toEqual(["up", "record"]);
  });
});

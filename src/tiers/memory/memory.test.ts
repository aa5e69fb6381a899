import { describe, expect, it } from "vitest";
import { CacheError } from "../../errors.js";
import { memory, resolveMemory } from "./memory.js";

function failure(run: () => unknown): CacheError {
  try {
    run();
  } catch (error) {
    if (error instanceof CacheError) return error;
  }
  throw new Error("Expected a CacheError");
}

describe("memory", () => {
  it("makes a factory of the memory kind that keeps its options", () => {
    const options = { maxEntries: 10 };
    expect(memory(options)).toEqual({ kind: "memory", options });
    expect(memory()).toEqual({ kind: "memory", options: {} });
  });

  it("refuses bad options where it is called", () => {
    expect(failure(() => memory({ maxEntries: 0 })).code).toBe("ERR_CACHE_OPTION");
  });
});

describe("resolveMemory", () => {
  it("is a million entries, 64 mb and an eighth of it per entry by default", () => {
    expect(resolveMemory({})).toMatchObject({
      maxEntries: 1_000_000,
      maxBytes: 64 * 1024 * 1024,
      maxEntryBytes: 8 * 1024 * 1024,
    });
    expect(resolveMemory({}).sizeOf).toBeUndefined();
  });

  it.each([
    ["512b", 512],
    ["512kb", 524_288],
    ["64mb", 67_108_864],
    ["1gb", 1_073_741_824],
    ["1.5 MB", 1_572_864],
    [4096, 4096],
  ])("reads %j as bytes", (text, bytes) => {
    expect(resolveMemory({ maxBytes: text }).maxBytes).toBe(bytes);
  });

  it("takes undefined as not given", () => {
    expect(resolveMemory({ maxBytes: undefined, maxEntries: undefined })).toMatchObject({ maxEntries: 1_000_000 });
  });

  it("leaves the smallest cache room for one byte", () => {
    expect(resolveMemory({ maxBytes: 1 }).maxEntryBytes).toBe(1);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 20_000_000])("refuses %d entries", (maxEntries) => {
    const error = failure(() => resolveMemory({ maxEntries }));
    expect(error.code).toBe("ERR_CACHE_OPTION");
    expect(error.message).toContain("`maxEntries`");
    expect(error.message).toContain("an integer from 1 to");
    expect(error.message).toContain(`\`${maxEntries}\``);
  });

  it.each([0, -5, 0.5, Number.NaN, "", "64", "mb", "-1mb", "64 mbit", "1e3kb", "0mb", "0.1b"])(
    "refuses %j bytes",
    (maxBytes) => {
      const error = failure(() => resolveMemory({ maxBytes }));
      expect(error.code).toBe("ERR_CACHE_OPTION");
      expect(error.message).toContain("`maxBytes`");
      expect(error.message).toContain('text like "64mb"');
      expect(error.message).toContain(typeof maxBytes === "string" ? JSON.stringify(maxBytes) : String(maxBytes));
    },
  );

  it("refuses entries heavier than the cache", () => {
    const error = failure(() => resolveMemory({ maxBytes: "1mb", maxEntryBytes: "2mb" }));
    expect(error.message).toBe("Expected `maxEntryBytes` to be at most `maxBytes` (1048576), got `2mb`");
  });

  it("uses the caller's sizeOf and refuses one that is not a function", () => {
    const own = (): number => 7;
    expect(resolveMemory({ sizeOf: own }).sizeOf).toBe(own);
    expect(failure(() => resolveMemory({ sizeOf: 7 as unknown as () => number })).message).toContain("`sizeOf`");
  });
});

import { describe, expect, it } from "vitest";
import {
  memcached,
  memcachedShards,
  MEMCACHED_DEFAULTS,
  type MemcachedOptions,
  type MemcachedServer,
} from "./index.js";

describe("memcached()", () => {
  it("connects to nothing before it is used", async () => {
    const tier = memcached({ host: "nowhere.invalid" }).open("c");
    expect(tier.kind).toBe("memcached");
    await tier.close();
    await tier.close();
  });

  it.each([
    ["host", ""],
    ["port", 0],
    ["port", 65_536],
    ["port", "11211"],
    ["prefix", "with space"],
    ["prefix", "é"],
    ["prefix", "x".repeat(101)],
    ["pollInterval", 0],
    ["pollInterval", "soon"],
    ["logLength", 0],
    ["maxMarks", 1.5],
    ["maxRules", -1],
  ] as [keyof MemcachedOptions, number | string][])("refuses %s of %j", (option, value) => {
    let thrown: unknown;
    try {
      memcached({ [option]: value });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining(`\`${option}\``) as string,
    });
  });

  it("takes what is undefined for not given", () => {
    const options = Object.fromEntries(Object.keys(MEMCACHED_DEFAULTS).map((name) => [name, undefined]));
    expect(memcached({ ...options, clock: undefined }).kind).toBe("memcached");
  });

  it("refuses everything once it is closed", async () => {
    const tier = memcached().open("c");
    await tier.close();
    await expect(tier.store.read(["a"])).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    await expect(tier.log.head()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });
});

describe("memcachedShards()", () => {
  it("refuses a list of no servers, and servers that are none", () => {
    for (const servers of [[], undefined, [{ port: 0 }]] as (readonly MemcachedServer[])[]) {
      expect(() => memcachedShards({ servers })).toThrow(/`(servers|port)`/);
    }
  });

  it("spreads keys evenly, and always the same", async () => {
    const servers = Array.from({ length: 3 }, (_, index) => ({ host: "nowhere.invalid", port: 11_211 + index }));
    const tier = memcachedShards({ servers }).openShards("c");
    expect(tier.shards).toHaveLength(3);
    const counts = [0, 0, 0];
    for (let id = 0; id < 30_000; id++) counts[tier.shardOf(`acme:contact:${id}:v1`)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    // Stored entries are found again by the next release.
    expect(["a", "acme:contact:42:v2", "é", ""].map((key) => tier.shardOf(key))).toEqual([2, 0, 0, 2]);
    await tier.close();
  });
});

import { describe, expect, it } from "vitest";

import { processes } from "../../../test/support/processes.js";
import { createCache, type Cache } from "../../index.js";
import { CacheSampler, processFacts } from "../sampler.js";
import { Doctor, type Examination } from "./doctor.js";

const levels = ({ findings }: Examination): Readonly<Record<string, string>> =>
  Object.fromEntries(findings.map(({ area, check, level }) => [`${area} ${check}`, level]));

/** What is wrong is why it matters, too, and has a next step. */
function expectTold({ findings }: Examination): void {
  const untold = findings.filter(
    ({ level, why = "", fix = "" }) => (level === "warn" || level === "fail") && (why === "" || fix === ""),
  );
  expect(untold).toEqual([]);
}

const INFO = [
  "redis_version:6.2.0",
  "role:slave",
  "used_memory:1000",
  "maxmemory:0",
  "maxmemory_policy:allkeys-lru",
  "evicted_keys:9",
  "uptime_in_seconds:100",
].join("\r\n");

/** A server that is asked what a doctor asks; one of its keys is somebody else's. */
async function answer(...[name, ...words]: readonly string[]): Promise<unknown> {
  switch (name) {
    case "INFO":
      return INFO;
    case "TIME":
      return [String(Math.floor(Date.now() / 1_000) - 60), "0"];
    case "ACL":
      return words[0] === "WHOAMI" ? "app" : ["flags", ["on"], "commands", "+@all"];
    case "SCAN":
      return ["0", ["crm:bare", "crm:large"]];
    case "PTTL":
      return words[0] === "crm:bare" ? -1 : 1_000;
    case "MEMORY":
      return words[1] === "crm:large" ? 2_000_000 : 100;
    default:
      throw new Error(`NOPERM ${name ?? ""}`);
  }
}

function reportsOf(
  cache: Cache,
  clock: Parameters<typeof processFacts>[3] & ConstructorParameters<typeof CacheSampler>[2],
) {
  const sampler = new CacheSampler(cache, processFacts("id", "one", "test", clock), clock);
  const report = sampler.report();
  sampler.close();
  return [report];
}

describe("the doctor, in a process", () => {
  it("finds what the code, the entries and the reads of a cache have wrong, why it matters and what mends it", async () => {
    const world = await processes(1, { name: "crm", ttl: "1m" });
    const [cache] = world.caches as [Cache];
    const user = cache.entity<number, unknown>({ name: "user", load: async (id) => ({ id, password: "hunter2" }) });
    for (let id = 0; id < 150; id += 1) await user.get(id);
    await cache.set("report", "x".repeat(1_100_000));
    const found = await new Doctor(world.clock, undefined).examine(cache, reportsOf(cache, world.clock));
    expect(levels(found)).toMatchObject({
      "code memory": "ok",
      "code shared tier": "ok",
      "code invalidation of user": "warn",
      "code schema of user": "warn",
      "code fallback of user": "warn",
      "entries sensitive fields": "fail",
      "entries tags": "warn",
      "entries large values": "warn",
      "processes hit ratio": "fail",
      "processes hit ratio of user": "warn",
      "processes shared tier": "ok",
    });
    expectTold(found);
    const text = JSON.stringify(found);
    expect(text).toContain("user: password");
    expect(text).not.toContain("hunter2");
    await world.close();
  });

  it("has nothing to say of a cache that has nothing wrong", async () => {
    const world = await processes(1, { name: "crm", ttl: "1m", staleIfError: "1h" });
    const [cache] = world.caches as [Cache];
    const user = cache.entity<number, { id: number }>({
      name: "user",
      schema: { "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) } } as never,
      load: async (id) => ({ id }),
      tags: ({ id }) => [`team:${id % 2}`],
    });
    for (let read = 0; read < 200; read += 1) await user.get(read % 5);
    const found = await new Doctor(world.clock, undefined).examine(cache, reportsOf(cache, world.clock));
    expect(found.findings.filter(({ level }) => level === "warn" || level === "fail")).toEqual([]);
    await world.close();
  });

  it("says what an outage means, and looks no further than it can", async () => {
    const world = await processes(1, { name: "crm" });
    const [cache] = world.caches as [Cache];
    await cache.set("a", 1);
    world.connections[0]?.fail();
    for (let i = 0; i < 20; i += 1) await cache.get(`b:${i}`);
    const found = await new Doctor(world.clock, undefined).examine(cache, reportsOf(cache, world.clock));
    expect(levels(found)).toMatchObject({
      "processes shared tier": "fail",
      "entries sensitive fields": "skipped",
      "entries large values": "skipped",
    });
    expectTold(found);
    await world.close();
  });

  it("says of a process that only looks on that its code says nothing", async () => {
    const world = await processes(1, { name: "crm" });
    const { clock } = world;
    const cache = createCache({ name: "crm", clock, tiers: [world.server.factory()] });
    await world.settle();
    const found = await new Doctor(clock, undefined).examine(cache, reportsOf(cache, clock));
    expect(found.findings.filter(({ area }) => area === "code")).toMatchObject([
      { check: "entities", level: "skipped" },
    ]);
    await cache.close();
    await world.close();
  });

  it("examines a cache once at a time, and anew when that is ten seconds old", async () => {
    const world = await processes(1, { name: "crm" });
    const [cache] = world.caches as [Cache];
    const doctor = new Doctor(world.clock, undefined);
    const reports = reportsOf(cache, world.clock);
    const first = doctor.examine(cache, reports);
    expect(doctor.examine(cache, reports)).toBe(first);
    await first;
    await world.clock.advance(9_000);
    expect(doctor.examine(cache, reports)).toBe(first);
    await world.clock.advance(2_000);
    const again = doctor.examine(cache, reports);
    expect(again).not.toBe(first);
    await again;
    await world.close();
  });
});

describe("what the doctor asks a Redis", () => {
  const asRedis = (cache: Cache): Cache =>
    Object.assign(Object.create(cache) as Cache, {
      inspect: () => cache.inspect(),
      stats: () => {
        const stats = cache.stats();
        return { ...stats, shared: stats.shared && { ...stats.shared, kind: "redis" } };
      },
    });

  it("is nothing where no way to ask it was given, and then it says which way there is", async () => {
    const world = await processes(1, { name: "crm" });
    const cache = asRedis(world.caches[0] as Cache);
    const found = await new Doctor(world.clock, undefined).examine(cache, []);
    expect(found.findings).toContainEqual(
      expect.objectContaining({
        area: "redis",
        check: "server",
        level: "skipped",
        fix: expect.stringContaining("--name crm") as string,
      }),
    );
    await world.close();
  });

  it("is its version, bounds, policy, clock, rights, and the ttl and size of its keys", async () => {
    const world = await processes(1, { name: "crm" });
    const cache = asRedis(world.caches[0] as Cache);
    const found = await new Doctor(world.clock, answer).examine(cache, []);
    expect(levels(found)).toMatchObject({
      "redis version": "fail",
      "redis role": "fail",
      "redis maxmemory": "fail",
      "redis policy": "warn",
      "redis evictions": "warn",
      "redis clock": "fail",
      "redis acl": "warn",
      "entries ttl": "fail",
      "entries large values": "warn",
    });
    expectTold(found);
    expect(found.findings.filter(({ check }) => check === "large values")).toHaveLength(1);
    expect(found.findings.find(({ check }) => check === "ttl")?.message).toContain("crm:bare");
    await world.close();
  });

  it.each([
    ["refuses", () => Promise.reject(new Error("NOPERM this user has no permissions")), "NOPERM"],
    ["does not answer", () => new Promise(() => undefined), "no answer to INFO within 3000 ms"],
  ])("may be what it %s, which is told", async (_what, redis: () => Promise<unknown>, said) => {
    const world = await processes(1, { name: "crm" });
    const cache = asRedis(world.caches[0] as Cache);
    const examined = new Doctor(world.clock, redis).examine(cache, []);
    await world.clock.advance(4_000);
    expect((await examined).findings.find(({ area }) => area === "redis")).toMatchObject({
      check: "server",
      level: "warn",
      message: expect.stringContaining(said) as string,
    });
    await world.close();
  });
});

import { describe, expect, it, onTestFinished } from "vitest";
import { createCache, memory, type Cache } from "../../src/index.js";
import { memcached, memcachedShards } from "../../src/memcached/index.js";
import { layoutOf } from "../../src/memcached/layout.js";
import { seededRandom } from "../support/manual-clock.js";
import { startMemcached, type MemcachedServer } from "../support/memcached-server.js";
import { memcachedAdmin } from "./memcached-admin.js";

async function startServer(args: readonly string[] = []): Promise<MemcachedServer> {
  const server = await startMemcached({ args });
  onTestFinished(() => server.stop());
  return server;
}

/** One process's cache; without memory it shows what the shared tier holds. */
function openCache(
  server: MemcachedServer,
  { near = true, timeout = 2_000, pollInterval = 20, heartbeat = 100 } = {},
): Cache {
  const shared = memcached({ port: server.port, pollInterval });
  const cache = createCache({
    name: "c",
    tiers: near ? [memory(), shared] : [shared],
    shared: { timeout, breakerFailures: 3, breakerCooldown: "100ms", heartbeat },
    ttl: "10m",
  });
  onTestFinished(() => cache.close());
  return cache;
}

/** Rows with versions, where an invalidation that was acknowledged makes older ones wrong. */
class Source {
  readonly #versions = new Map<string, number>();
  readonly acknowledged = new Map<string, number>();

  version(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  write(key: string): number {
    const version = this.version(key) + 1;
    this.#versions.set(key, version);
    return version;
  }

  async read(key: string): Promise<number> {
    const version = this.version(key);
    await new Promise((resolve) => setImmediate(resolve));
    return version;
  }
}

describe("caches on one memcached", () => {
  it("hear of one another's writes within a poll", async () => {
    const server = await startServer();
    const [a, b] = [openCache(server), openCache(server)];
    expect(await b.getOrLoad("k", () => 1)).toBe(1);
    expect(await a.getOrLoad("k", () => 9)).toBe(1);
    await a.set("k", 2);
    await expect.poll(() => b.getOrLoad("k", () => 9), { timeout: 10_000, interval: 5 }).toBe(2);
    await b.invalidate({ key: "k" });
    await expect.poll(() => a.getOrLoad("k", () => 3), { timeout: 10_000, interval: 5 }).toBe(3);
    await a.getOrLoad("t", () => 1, { tags: ["tag"] });
    await b.invalidate({ tag: "tag" });
    await expect.poll(() => a.getOrLoad("t", () => 2, { tags: ["tag"] }), { timeout: 10_000, interval: 5 }).toBe(2);
    expect(a.stats().shared).toMatchObject({ kind: "memcached", up: true, gaps: 0, failures: 0 });
  });

  it("or on several hear of one another just so, and an invalidation by tag reaches them all", async () => {
    const servers = [await startServer(), await startServer(), await startServer()];
    const ports = servers.map(({ port }) => ({ port }));
    const [a, b] = [0, 1].map(() => {
      const cache = createCache({
        name: "c",
        tiers: [memory(), memcachedShards({ servers: ports, pollInterval: 20 })],
        shared: { timeout: "2s" },
      });
      onTestFinished(() => cache.close());
      return cache;
    }) as [Cache, Cache];
    const keys = Array.from({ length: 30 }, (_, id) => `k${id}`);
    const readAll = (cache: Cache, version: number): Promise<number[]> =>
      Promise.all(keys.map((key) => cache.getOrLoad(key, () => version, { tags: ["t"] })));
    const all = (version: number): number[] => keys.map(() => version);
    expect(await readAll(a, 1)).toEqual(all(1));
    expect(await readAll(b, 9)).toEqual(all(1));
    await a.invalidate({ tag: "t" });
    await expect.poll(() => readAll(b, 2), { timeout: 10_000, interval: 20 }).toEqual(all(2));
    await a.setMany(keys.map((key) => [key, 3] as const));
    await expect.poll(() => readAll(b, 9), { timeout: 10_000, interval: 20 }).toEqual(all(3));
    for (const server of servers) expect(await server.ask("mg c#head v", "\r\n")).toMatch(/^VA /);
  });

  it("load once for all of them", async () => {
    const server = await startServer();
    const caches = [openCache(server), openCache(server), openCache(server)];
    let loads = 0;
    const load = async (): Promise<number> => {
      loads += 1;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return loads;
    };
    await Promise.all(caches.map((cache) => cache.getOrLoad("warm", () => 0)));
    const values = await Promise.all(
      caches.flatMap((cache) => [cache.getOrLoad("k", load), cache.getOrLoad("k", load)]),
    );
    expect(values).toEqual([1, 1, 1, 1, 1, 1]);
    expect(loads).toBe(1);
  });

  it("agree with the source when all is quiet, whatever was read and written at the same time", async () => {
    const server = await startServer();
    const caches = [openCache(server), openCache(server), openCache(server)];
    const random = seededRandom(7);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const source = new Source();
    const keys = ["a", "b", "c"];
    const read = (cache: Cache, key: string): Promise<number> =>
      cache.getOrLoad(key, () => source.read(key), { tags: [`t-${key}`] });
    const acts: readonly ((cache: Cache, key: string) => Promise<unknown>)[] = [
      read,
      read,
      read,
      async (cache, key) => {
        source.write(key);
        await cache.invalidate({ key });
      },
      async (cache, key) => {
        source.write(key);
        await cache.invalidate({ key }, { mode: "soft" });
      },
      async (cache, key) => {
        source.write(key);
        await cache.invalidate({ tag: `t-${key}` });
      },
      (cache, key) => cache.writeThrough(key, async () => source.write(key), { tags: [`t-${key}`] }),
    ];
    for (let round = 0; round < 40; round++) {
      await Promise.all(Array.from({ length: 30 }, () => pick(acts)(pick(caches), pick(keys))));
      for (const key of keys) {
        for (const cache of caches) {
          await expect
            .poll(() => read(cache, key), { timeout: 10_000, interval: 5, message: `round ${round}, ${key}` })
            .toBe(source.version(key));
        }
      }
    }
  });
});

describe("a memcached that", () => {
  it("forgets under memory pressure costs misses, and never gives a stale value", async () => {
    const server = await startServer(["-m", "2"]);
    // Polls would keep the head among what was used of late.
    const quiet = { near: false, pollInterval: 60_000, heartbeat: 60_000 };
    const [writer, reader] = [openCache(server, quiet), openCache(server, quiet)];
    const admin = memcachedAdmin(server.port);
    onTestFinished(() => admin.close());
    const random = seededRandom(3);
    const source = new Source();
    const generations = new Set<string>();
    let loads = 0;
    const read = (cache: Cache, key: string): Promise<number> =>
      cache.getOrLoad(
        key,
        () => {
          loads += 1;
          return source.read(key);
        },
        { tags: ["t"] },
      );
    for (let round = 0; round < 12; round++) {
      for (let step = 0; step < 10; step++) {
        const key = `k${Math.floor(random() * 5)}`;
        await read(random() < 0.5 ? writer : reader, key);
        const version = source.write(key);
        await writer.invalidate(random() < 0.5 ? { key } : { tag: "t" });
        expect(await read(reader, key)).toBeGreaterThanOrEqual(version);
      }
      const head = await admin.items.value(layoutOf("c", "").head);
      generations.add(
        Buffer.from(head?.value ?? [])
          .toString()
          .split(" ")[1] ?? "",
      );
      // As many other items as push out all that is as large as anything of the cache's.
      for (const size of [60, 150, 250, 400, 700, 3_000]) {
        const filler = Buffer.alloc(size);
        const count = Math.ceil(1_200_000 / (size + 60));
        await Promise.all(
          Array.from({ length: count }, (_, index) =>
            admin.items.store(`filler:${size}:${index}:${round}`, filler, { ttl: 0 }),
          ),
        );
      }
      for (let key = 0; key < 5; key++) expect(await read(reader, `k${key}`)).toBe(source.version(`k${key}`));
    }
    // The log itself was lost, again and again: the test is about something.
    expect(generations.size).toBeGreaterThan(3);
    expect(loads).toBeGreaterThan(100);
    expect(reader.stats().shared).toMatchObject({ up: true, failures: 0 });
  });

  it("is killed and comes back empty leaves nobody with an old value", async () => {
    const server = await startServer();
    const [a, b] = [openCache(server), openCache(server)];
    let version = 1;
    const read = (cache: Cache): Promise<number> => cache.getOrLoad("k", () => version);
    for (let round = 0; round < 5; round++) {
      const before = version;
      expect(await read(a)).toBe(before);
      expect(await read(b)).toBe(before);
      await server.kill();
      version += 1;
      await expect(a.invalidate({ key: "k" })).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
      expect(await read(a)).toBe(version);
      await server.restart();
      // The invalidation is sent until it is acknowledged; what was in memory is compared with a server that has lost all.
      await expect.poll(() => read(b), { timeout: 15_000, interval: 10 }).toBe(version);
      await expect.poll(() => a.stats().shared?.unsent, { timeout: 15_000, interval: 10 }).toBe(0);
      await expect
        .poll(() => [a, b].map((cache) => cache.stats().shared?.up), { timeout: 15_000 })
        .toEqual([true, true]);
      expect(await read(a)).toBe(version);
    }
    const positions = [a, b].map((cache) => cache.stats().shared?.position);
    expect(positions[0]).toBeGreaterThan(1e15);
  });

  it("hangs costs its timeout a few times, and then nothing, until it answers again", async () => {
    const server = await startServer();
    const cache = openCache(server, { timeout: 100 });
    await cache.getOrLoad("k", () => 1);
    server.pause();
    try {
      const waited: Promise<number>[] = [];
      for (let index = 0; index < 20; index++) waited.push(cache.getOrLoad(`k${index}`, () => index));
      expect(await Promise.all(waited)).toEqual(Array.from({ length: 20 }, (_, index) => index));
      await expect.poll(() => cache.stats().shared?.up, { timeout: 10_000 }).toBe(false);
      await expect(cache.invalidate({ key: "k" })).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
      expect(await cache.getOrLoad("k", () => 2)).toBe(2);
    } finally {
      server.resume();
    }
    await expect.poll(() => cache.stats().shared, { timeout: 20_000 }).toMatchObject({ up: true, unsent: 0 });
    const other = openCache(server, { near: false });
    expect(await other.getOrLoad("k", () => 3)).not.toBe(1);
  });

  it("never was there is no reason not to serve, nor not to close", async () => {
    const server = await startServer();
    await server.stop();
    const cache = openCache(server);
    expect(await cache.getOrLoad("k", () => "loaded")).toBe("loaded");
    expect(cache.peek("k")).toBe("loaded");
    await cache.close();
  });
});

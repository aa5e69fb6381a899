import { afterEach, describe, expect, it } from "vitest";

import type { Cache } from "../src/index.js";
import { deferred, type Deferred } from "./support/deferred.js";
import { alone, processes, type Processes } from "./support/processes.js";

let running: Processes | undefined;

async function start(...args: Parameters<typeof processes>): Promise<Processes & { a: Cache; b: Cache; c: Cache }> {
  running = await processes(...args);
  const [a, b, c] = running.caches;
  return { ...running, a: a as Cache, b: (b ?? a) as Cache, c: (c ?? a) as Cache };
}

afterEach(async () => {
  await running?.close();
  running = undefined;
});

/** A row and its history: every commit is the next version. */
class Row {
  version = 1;

  commit(): number {
    this.version += 1;
    return this.version;
  }
}

/** Somebody who does their part one step at a time. */
interface Actor {
  readonly steps: readonly (() => void)[];
  /** The version that nothing served from now on may be older than; 0 while it has promised nothing. */
  promised(): number;
}

/** Takes the lease and begins · commits · goes on to the cache. */
function writer(cache: Cache, key: string, row: Row): Actor {
  const [commit, end] = [deferred(), deferred()];
  let promised = 0;
  const begin = (): void => {
    const write = async (): Promise<number> => {
      await commit.promise;
      const version = row.commit();
      await end.promise;
      return version;
    };
    void cache.writeThrough(key, write).then((version) => (promised = version));
  };
  return { steps: [begin, () => commit.resolve(), () => end.resolve()], promised: () => promised };
}

/** Commits, then fails: what it wrote is there, and nobody was told. */
function failingWriter(cache: Cache, key: string, row: Row): Actor {
  const [commit, end] = [deferred(), deferred()];
  let promised = 0;
  let version = 0;
  const begin = (): void => {
    const write = async (): Promise<never> => {
      await commit.promise;
      version = row.commit();
      await end.promise;
      throw new Error("connection lost after COMMIT");
    };
    cache.writeThrough(key, write).catch(() => (promised = version));
  };
  return { steps: [begin, () => commit.resolve(), () => end.resolve()], promised: () => promised };
}

/** Commits · invalidates. */
function invalidator(cache: Cache, key: string, row: Row): Actor {
  let promised = 0;
  let version = 0;
  const commit = (): void => {
    version = row.commit();
  };
  return {
    steps: [commit, () => void cache.invalidate({ key }).then(() => (promised = version))],
    promised: () => promised,
  };
}

/** Reads, and if it has to load: sees the row at once · brings it home later. */
function reader(cache: Cache, key: string, row: Row): Actor {
  const home = deferred();
  const load = async (): Promise<number> => {
    const seen = row.version;
    await home.promise;
    return seen;
  };
  return { steps: [() => void cache.getOrLoad(key, load), () => home.resolve()], promised: () => 0 };
}

/** Every order in which the actors can take their steps, each keeping its own order. */
function* schedules(
  lengths: readonly number[],
  done: readonly number[] = lengths.map(() => 0),
): Generator<readonly number[]> {
  const left = lengths.map((length, actor) => length - (done[actor] as number));
  if (left.every((count) => count === 0)) yield [];
  for (const [actor, count] of left.entries()) {
    if (count === 0) continue;
    const next = done.map((steps, at) => (at === actor ? steps + 1 : steps));
    for (const rest of schedules(lengths, next)) yield [actor, ...rest];
  }
}

type Cast = (key: string, row: Row) => readonly Actor[];

/**
 * Plays every schedule on a key of its own, and looks after each step. Served is only what is no older than what was
 * promised; at the end, what is committed, or nothing. @returns how many schedules, and in how many a value was kept.
 */
async function play(
  caches: readonly Cache[],
  settle: () => Promise<void>,
  cast: Cast,
): Promise<{ played: number; kept: number }> {
  const lengths = cast("", new Row()).map(({ steps }) => steps.length);
  let played = 0;
  let kept = 0;
  for (const schedule of schedules(lengths)) {
    const key = `k${(played += 1)}`;
    const row = new Row();
    const actors = cast(key, row);
    const next = actors.map(() => 0);
    // Everybody has the old value in memory, or nobody has: by turns.
    if (played % 2 === 0) for (const cache of caches) await cache.getOrLoad(key, () => row.version);
    for (const [at, actor] of schedule.entries()) {
      actors[actor]?.steps[next[actor] as number]?.();
      next[actor] = (next[actor] as number) + 1;
      await settle();
      const promised = Math.max(...actors.map((one) => one.promised()));
      const seen = caches.map((cache) => cache.peek<number>(key) ?? Number.POSITIVE_INFINITY);
      // A look at the shared tier also puts what it finds in memory: now and then, so that both are tried.
      if ((played + at) % 3 === 0) seen.push((await caches.at(-1)?.get<number>(key)) ?? Number.POSITIVE_INFINITY);
      expect(Math.min(...seen), `schedule ${schedule.join("")}, step ${at + 1}`).toBeGreaterThanOrEqual(promised);
    }
    await settle();
    for (const cache of caches) {
      expect([undefined, row.version], `schedule ${schedule.join("")}, memory`).toContain(cache.peek(key));
      const value = await cache.get(key);
      expect([undefined, row.version], `schedule ${schedule.join("")}, shared`).toContain(value);
      if (value !== undefined) kept += 1;
    }
  }
  return { played, kept };
}

describe("whatever the order of their steps, the cache ends with the last committed value or none", () => {
  it("two writers in two processes", async () => {
    const { caches, a, b, settle } = await start(3);
    const { played, kept } = await play(caches, settle, (key, row) => [writer(a, key, row), writer(b, key, row)]);
    expect(played).toBe(20);
    expect(kept).toBeGreaterThan(0);
  });

  it("two writers in one process", async () => {
    const { caches, a, settle } = await start(2);
    expect((await play(caches, settle, (key, row) => [writer(a, key, row), writer(a, key, row)])).played).toBe(20);
  });

  it("three writers in three processes", async () => {
    const { caches, a, b, c, settle } = await start(3);
    const cast: Cast = (key, row) => [writer(a, key, row), writer(b, key, row), writer(c, key, row)];
    expect((await play(caches, settle, cast)).played).toBe(1_680);
  });

  it("two writers and a reader in between, in three processes", async () => {
    const { caches, a, b, c, clock } = await start(3);
    const cast: Cast = (key, row) => [writer(a, key, row), writer(b, key, row), reader(c, key, row)];
    expect((await play(caches, () => clock.advance(0), cast)).played).toBe(560);
  });

  it("a writer and readers in its own and another process", async () => {
    const { caches, a, b, settle } = await start(2);
    const cast: Cast = (key, row) => [writer(a, key, row), reader(a, key, row), reader(b, key, row)];
    expect((await play(caches, settle, cast)).played).toBe(210);
  });

  it("a writer, one who invalidates instead, and a reader", async () => {
    const { caches, a, b, c, settle } = await start(3);
    const cast: Cast = (key, row) => [writer(a, key, row), invalidator(b, key, row), reader(c, key, row)];
    expect((await play(caches, settle, cast)).played).toBe(210);
  });

  it("a writer, one that fails after its commit, and a reader", async () => {
    const { caches, a, b, c, settle } = await start(3);
    const cast: Cast = (key, row) => [writer(a, key, row), failingWriter(b, key, row), reader(c, key, row)];
    expect((await play(caches, settle, cast)).played).toBe(560);
  });

  it("the same without a shared tier", async () => {
    const { cache, clock } = alone();
    const cast: Cast = (key, row) => [writer(cache, key, row), failingWriter(cache, key, row), reader(cache, key, row)];
    const { played, kept } = await play([cache], () => clock.advance(0), cast);
    expect(played).toBe(560);
    expect(kept).toBeGreaterThan(0);
  });
});

describe("writeThrough", () => {
  it("puts the new value in both tiers, and takes the old one from every other memory", async () => {
    const { a, b, c, settle } = await start(3);
    await a.set("k", "old");
    await Promise.all([b.get("k"), c.get("k")]);
    expect(await a.writeThrough("k", async () => "new")).toBe("new");
    expect(a.peek("k")).toBe("new");
    await settle();
    expect(b.peek("k")).toBeUndefined();
    expect(c.peek("k")).toBeUndefined();
    expect(await b.get("k")).toBe("new");
    expect(await c.getOrLoad("k", () => "never")).toBe("new");
  });

  it("takes it even from a process that has lost the push, at its next heartbeat", async () => {
    const { a, b, clock, connections } = await start(2, { shared: { heartbeat: "500ms" } });
    await a.set("k", "old");
    await b.get("k");
    connections[1]?.dropPushes(true);
    await a.writeThrough("k", async () => "new");
    await clock.advance(500);
    expect(b.peek("k")).toBeUndefined();
    expect(await b.get("k")).toBe("new");
  });

  it("that fails gives its own error by identity, and forgets what was stored: it may have committed", async () => {
    const { a, b, settle } = await start(2);
    await a.set("k", "old");
    await b.get("k");
    const failure = new Error("deadlock detected");
    await expect(a.writeThrough("k", () => Promise.reject(failure))).rejects.toBe(failure);
    await settle();
    expect(a.peek("k")).toBeUndefined();
    expect(b.peek("k")).toBeUndefined();
    expect(await b.getOrLoad("k", () => "loaded")).toBe("loaded");
  });

  it("that throws before it returns a promise is the same", async () => {
    const { a } = await start(1);
    await a.set("k", "old");
    const failure = new Error("not connected");
    await expect(
      a.writeThrough("k", () => {
        throw failure;
      }),
    ).rejects.toBe(failure);
    expect(await a.get("k")).toBeUndefined();
  });

  it("is waited for by readers that come after it began, who get the new value without a load", async () => {
    const { a, b, settle } = await start(2);
    const write = deferred<string>();
    const writing = a.writeThrough("k", () => write.promise);
    await settle();
    let loads = 0;
    const reads = [a, b].map((cache) => cache.getOrLoad("k", () => `old ${(loads += 1)}`));
    await settle();
    write.resolve("new");
    expect(await writing).toBe("new");
    await settle();
    expect(await Promise.all(reads)).toEqual(["new", "new"]);
    expect(loads).toBe(0);
  });

  it("keeps its lease for as long as the write may take", async () => {
    const { a, b, clock } = await start(2, { hardTimeout: "10s", shared: { leaseTtl: "1s" } });
    const write = deferred<string>();
    const writing = a.writeThrough("k", () => write.promise);
    await clock.advance(9_000);
    write.resolve("new");
    await clock.advance(0);
    await writing;
    expect(await b.get("k")).toBe("new");
  });

  it("whose lease ran out does not store over what was loaded meanwhile: it takes it away", async () => {
    const { a, b, clock, settle } = await start(2, { hardTimeout: "2s", shared: { leaseTtl: "1s" } });
    const row = new Row();
    const commit: Deferred<void> = deferred();
    const writing = a.writeThrough("k", async () => {
      await commit.promise;
      return row.commit();
    });
    await clock.advance(10_000);
    expect(await b.getOrLoad("k", () => row.version)).toBe(1);
    expect(await a.getOrLoad("k", () => row.version)).toBe(1);
    commit.resolve();
    expect(await writing).toBe(2);
    await settle();
    for (const cache of [a, b]) {
      expect(cache.peek("k")).toBeUndefined();
      expect(await cache.get("k")).toBeUndefined();
    }
  });

  it("whose process is cut off after its commit leaves the old value nowhere once its lease has run out", async () => {
    const { a, b, clock, connections } = await start(2, { shared: { leaseTtl: "1s" } });
    await a.set("k", "old");
    await b.get("k");
    const write = deferred<string>();
    const writing = a.writeThrough("k", () => write.promise);
    await clock.advance(0);
    connections[0]?.hang();
    write.resolve("new");
    await clock.advance(5_000);
    expect(await writing).toBe("new");
    expect(a.peek("k")).toBeUndefined();
    connections[0]?.heal();
    await clock.advance(3_000);
    expect(b.peek("k")).toBeUndefined();
    expect(await b.getOrLoad("k", () => "new")).toBe("new");
  });
});

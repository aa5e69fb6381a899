import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { Mark } from "../../src/invalidation/record.js";
import { memcached } from "../../src/memcached/index.js";
import { entry, keyMarks, LONG, recordsSince } from "../../src/testing/suite/session.js";
import type { SharedTier } from "../../src/tiers/shared.js";
import { startMemcached, type MemcachedServer } from "../support/memcached-server.js";
import { holdingProxy, type HoldingProxy } from "./memcached-proxy.js";

/*
 * What lies between the steps of one call: each test stops a call before one of its commands, lets another process act,
 * and lets it go on.
 */

let server: MemcachedServer;

beforeAll(async () => {
  server = await startMemcached();
});
afterAll(() => server.stop());
beforeEach(() => server.ask("flush_all", "OK\r\n"));

const TAG: Mark = { kind: "tag", tag: "t" };
const HEAD = "c#head";
const KEY = "c:a";

interface Scene {
  /** Its commands can be held. */
  readonly slow: SharedTier;
  readonly proxy: HoldingProxy;
  readonly other: SharedTier;
}

async function scene(): Promise<Scene> {
  const proxy = await holdingProxy(server.port);
  onTestFinished(() => proxy.close());
  const slow = memcached({ port: proxy.port }).open("c");
  const other = memcached({ port: server.port }).open("c");
  onTestFinished(() => slow.close());
  onTestFinished(() => other.close());
  await slow.log.head();
  await other.log.head();
  return { slow, proxy, other };
}

/** Runs a call up to the command given, then `between`, then the rest of it. */
async function interrupted<T>(
  proxy: HoldingProxy,
  command: string,
  call: () => Promise<T>,
  between: () => Promise<void>,
): Promise<T> {
  const came = proxy.hold(command);
  const result = call();
  await came;
  await between();
  proxy.release();
  return result;
}

async function stored(tier: SharedTier): Promise<number | undefined> {
  const [value] = (await tier.store.read(["a"])).values;
  return value instanceof Uint8Array ? value[11] : undefined;
}

const put = (tier: SharedTier, stamp: number): ReturnType<SharedTier["store"]["put"]> =>
  tier.store.put([{ key: "a", value: entry(stamp), ttl: LONG }], "me");
const acquire = (tier: SharedTier, token: string, takeOver = false): ReturnType<SharedTier["leases"]["acquire"]> =>
  tier.leases.acquire("a", { token, ttl: LONG, takeOver });

describe("a read", () => {
  it.each([`mg ${HEAD}`, `mg ${KEY}`])(
    "interrupted before %s by an invalidation gives no old entry with the new head",
    async (command) => {
      const { slow, proxy, other } = await scene();
      await put(other, 1);
      let position = 0;
      const read = await interrupted(
        proxy,
        command,
        () => slow.store.read(["a"]),
        async () => {
          position = (await other.store.invalidate(keyMarks("a"), false, "you")).head.position;
        },
      );
      if (read.values[0] !== undefined) expect(read.head?.position).toBeLessThan(position);
      expect(await stored(slow)).toBeUndefined();
    },
  );
});

describe("an invalidation", () => {
  it.each([false, true])(
    "interrupted before it is in the log has ended loads and entries already (soft: %s)",
    async (soft) => {
      const { slow, proxy, other } = await scene();
      const before = await put(other, 1);
      await acquire(other, "t", true);
      const { head, hit } = await interrupted(
        proxy,
        `ms ${HEAD}`,
        () => slow.store.invalidate([...keyMarks("a"), TAG], soft, "me"),
        async () => {
          const read = await other.store.read(["a"]);
          expect(read.head).toEqual(before);
          const [value] = read.values;
          expect(value instanceof Uint8Array ? value[3] : undefined).toBe(soft ? 1 : undefined);
          expect(await other.leases.fill("a", "t", entry(2), LONG)).toBe(false);
        },
      );
      expect(hit).toBe(1);
      expect(head.control).toBe(head.position);
    },
  );

  it("interrupted before it is in the log lets in who loads anew: that began after it was called", async () => {
    const { slow, proxy, other } = await scene();
    await put(other, 1);
    const { head } = await interrupted(
      proxy,
      `ms ${HEAD}`,
      () => slow.store.invalidate(keyMarks("a"), false, "me"),
      async () => {
        const won = await acquire(other, "t");
        expect(won.state).toBe("won");
        expect(await other.leases.fill("a", "t", entry(2), LONG)).toBe(true);
      },
    );
    expect(await stored(slow)).toBe(2);
    expect((await slow.store.read([])).head).toEqual(head);
  });
});

describe("a fill", () => {
  it.each([
    ["a hard invalidation", (tier: SharedTier) => tier.store.invalidate(keyMarks("a"), false, "you"), undefined],
    ["a soft invalidation", (tier: SharedTier) => tier.store.invalidate(keyMarks("a"), true, "you"), undefined],
    ["a put", (tier: SharedTier) => put(tier, 7), 7],
    ["a writer's lease", (tier: SharedTier) => acquire(tier, "w", true), undefined],
  ] as const)("interrupted before it stores by %s is refused", async (_what, act, left) => {
    const { slow, proxy, other } = await scene();
    expect((await acquire(slow, "t")).state).toBe("won");
    const filled = await interrupted(
      proxy,
      `ms ${KEY}`,
      () => slow.leases.fill("a", "t", entry(1), LONG),
      async () => void (await act(other)),
    );
    expect(filled).toBe(false);
    expect(await stored(other)).toBe(left);
  });

  it("interrupted by its own renewal is stored", async () => {
    const { slow, proxy, other } = await scene();
    await acquire(slow, "t");
    const filled = await interrupted(
      proxy,
      `ms ${KEY}`,
      () => slow.leases.fill("a", "t", entry(1), LONG),
      async () => void (await other.leases.renew("a", "t", LONG)),
    );
    expect(filled).toBe(true);
    expect(await stored(other)).toBe(1);
  });
});

describe("a put", () => {
  it("interrupted before it is in the log has removed what it writes over, and keeps loads waiting", async () => {
    const { slow, proxy, other } = await scene();
    await put(other, 1);
    const head = await interrupted(
      proxy,
      `ms ${HEAD}`,
      () => put(slow, 2),
      async () => {
        expect(await stored(other)).toBeUndefined();
        expect((await acquire(other, "t")).state).toBe("held");
      },
    );
    expect(head.control).toBeLessThan(head.position);
    expect(await stored(other)).toBe(2);
  });

  it.each([
    ["a put", (tier: SharedTier) => put(tier, 7), 7],
    ["an invalidation", (tier: SharedTier) => tier.store.invalidate(keyMarks("a"), false, "you"), undefined],
    [
      "a load that came after an invalidation",
      async (tier: SharedTier) => {
        await tier.store.invalidate(keyMarks("a"), false, "you");
        await acquire(tier, "t");
        await tier.leases.fill("a", "t", entry(8), LONG);
      },
      8,
    ],
  ] as const)(
    "interrupted before its record by %s stores nothing, and tells its process to keep nothing",
    async (_what, act, left) => {
      const { slow, proxy, other } = await scene();
      const head = await interrupted(
        proxy,
        `ms ${HEAD}`,
        () => put(slow, 2),
        async () => void (await act(other)),
      );
      // Its record is the newest, so nothing else would tell it.
      expect((await other.log.head()).position).toBe(head.position);
      expect(head.control).toBe(head.position);
      expect(await stored(other)).toBe(left);
    },
  );
});

describe("a commit", () => {
  it("interrupted before its record has removed the old entry", async () => {
    const { slow, proxy, other } = await scene();
    await put(other, 1);
    await acquire(slow, "w", true);
    const head = await interrupted(
      proxy,
      `ms ${HEAD}`,
      () => slow.leases.commit("a", "w", entry(2), LONG, "me"),
      async () => expect(await stored(other)).toBeUndefined(),
    );
    expect(head).toBeDefined();
    expect(await stored(other)).toBe(2);
  });

  it("interrupted after its check by an invalidation stores nothing", async () => {
    const { slow, proxy, other } = await scene();
    await acquire(slow, "w", true);
    const head = await interrupted(
      proxy,
      `ms ${HEAD}`,
      () => slow.leases.commit("a", "w", entry(2), LONG, "me"),
      async () => void (await other.store.invalidate(keyMarks("a"), false, "you")),
    );
    expect(head).toBeUndefined();
    expect(await stored(other)).toBeUndefined();
  });
});

describe("a lease", () => {
  it("interrupted before it is taken by another's goes to the other", async () => {
    const { slow, proxy, other } = await scene();
    const answer = await interrupted(
      proxy,
      `ms ${KEY}`,
      () => acquire(slow, "t"),
      async () => void (await acquire(other, "u")),
    );
    expect(answer.state).toBe("held");
  });

  it("interrupted after the head was read by an invalidation of a tag carries the older position", async () => {
    const { slow, proxy, other } = await scene();
    let position = 0;
    const answer = await interrupted(
      proxy,
      `ms ${KEY}`,
      () => acquire(slow, "t"),
      async () => {
        position = (await other.store.invalidate([TAG], false, "you")).head.position;
      },
    );
    expect(answer.state).toBe("won");
    expect(answer.head.position).toBeLessThan(position);
  });
});

describe("the log", () => {
  it("interrupted in an append by others takes in all of them, in one chain", async () => {
    const { slow, proxy, other } = await scene();
    const { position } = await other.log.head();
    await interrupted(
      proxy,
      `ms ${HEAD}`,
      () => slow.store.invalidate([TAG], false, "slow"),
      async () => {
        await other.store.invalidate([TAG], true, "one");
        await other.store.invalidate(keyMarks("k"), true, "two");
      },
    );
    const records = await recordsSince(other, position);
    expect(records.map(({ origin }) => origin)).toEqual(["one", "two", "slow"]);
    expect(await slow.store.marks([TAG])).toEqual([{ hard: position + 3, soft: position + 1 }]);
    expect(await other.store.marks([TAG])).toEqual([{ hard: position + 3, soft: position + 1 }]);
  });

  it("begun by two at once is begun once", async () => {
    const { slow, proxy, other } = await scene();
    await server.ask("flush_all", "OK\r\n");
    const head = await interrupted(
      proxy,
      `ms ${HEAD}`,
      () => slow.log.head(),
      async () => void (await other.store.invalidate([TAG], false, "you")),
    );
    expect(head).toEqual(await other.log.head());
    expect(head.floor).toBeLessThan(head.position);
  });

  it("begun again is above every position known, also one of a server whose clock was ahead", async () => {
    const { other } = await scene();
    const ahead = 8_000_000_000_000_000;
    const head = `2 generation1 ${ahead} ${ahead} ${ahead} ${ahead} 0 0 `;
    await server.ask(`ms ${HEAD} ${head.length} T0\r\n${head}`, "HD\r\n");
    expect((await other.log.head()).position).toBe(ahead);
    await server.ask(`md ${HEAD}`, "HD\r\n");
    expect((await other.log.head()).position).toBe(ahead + 1);
    const { head: next } = await other.store.invalidate([TAG], false, "me");
    expect(next).toEqual({ position: ahead + 2, control: ahead + 2, floor: ahead + 1 });
  });
});

import assert from "node:assert/strict";
import type { LogSignal } from "../../tiers/shared.js";
import type { TestRunner } from "../shared-tier-suite.js";
import {
  acquire,
  assertBytes,
  assertStored,
  assertWon,
  entry,
  keyMarks,
  listen,
  LONG,
  recordsSince,
  section,
  stampBytes,
  type OpenServer,
} from "./session.js";

export function leaseTests(open: OpenServer, runner: TestRunner): void {
  section("leases", open, runner, (test) => {
    test("gives the lease to one, and tells the others how long it lasts", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      const won = await acquire(tier, "a", "mine", { ttl: 5_000 });
      assertWon(won);
      const held = await acquire(other, "a", "yours");
      assert.equal(held.state, "held");
      assert.ok(held.remaining > 0 && held.remaining <= 5_000, `${held.remaining} ms`);
      assert.deepEqual(held.head, won.head);
      assertWon(await acquire(other, "b", "yours"));
    });

    test("begins a generation, and answers with the head of the same step", async (session) => {
      const tier = await session.open();
      const won = await acquire(tier, "a", "t");
      assert.equal(won.head.floor, won.head.position);
      assert.deepEqual(await tier.log.head(), won.head);
      const { head } = await tier.store.invalidate([{ kind: "all" }], false, "me");
      assert.deepEqual((await acquire(tier, "b", "t")).head, head);
      await tier.store.put([{ key: "c", value: entry(1), ttl: LONG }], "me");
      assert.deepEqual((await acquire(tier, "c", "t")).head, await tier.log.head());
    });

    test("gives fencing numbers that grow over all keys and tiers, also past a restart of the server", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      let last = 0;
      for (let round = 0; round < 20; round++) {
        if (round === 10) await session.server.flush();
        const fence = assertWon(
          await acquire(round % 2 === 0 ? tier : other, `key${round % 3}`, `t${round}`, { takeOver: true }),
        );
        assert.ok(Number.isSafeInteger(fence) && fence > last, `${fence} after ${last}`);
        last = fence;
      }
    });

    test("gives the lease again to the token that holds it: a client may have sent twice", async (session) => {
      const tier = await session.open();
      const first = assertWon(await acquire(tier, "a", "t"));
      const second = assertWon(await acquire(tier, "a", "t"));
      assert.ok(second > first);
      assert.equal((await acquire(tier, "a", "u")).state, "held");
      assert.equal(await tier.leases.fill("a", "t", entry(1), LONG), true);
    });

    test("answers with an entry the caller has not seen", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(2, "new"), ttl: LONG }], "me");
      for (const options of [{}, { seen: stampBytes(1) }]) {
        const answer = await acquire(tier, "a", "t", options);
        assert.equal(answer.state, "filled");
        assertBytes(answer.value, entry(2, "new"));
      }
      // No lease was taken on the way.
      assertWon(await acquire(tier, "a", "u", { seen: stampBytes(2) }));
    });

    test("answers with the entry although somebody holds the lease", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      assertWon(await acquire(tier, "a", "refresher", { seen: stampBytes(1) }));
      assert.equal((await acquire(tier, "a", "t")).state, "filled");
      assert.equal((await acquire(tier, "a", "t", { seen: stampBytes(1) })).state, "held");
    });

    test("gives the lease although an entry is there, if the caller has seen it or it is soft-stale", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      assertWon(await acquire(tier, "a", "t", { seen: stampBytes(1) }));
      assert.equal(await tier.leases.release("a", "t"), true);
      await tier.store.invalidate(keyMarks("a"), true, "me");
      for (const options of [{}, { seen: stampBytes(1) }, { seen: stampBytes(7) }]) {
        assertWon(await acquire(tier, "a", "t", options));
        assert.equal(await tier.leases.release("a", "t"), true);
      }
      await assertStored(tier, "a", entry(1, "", 1));
    });

    test("takes bytes too short to be an entry for nothing", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(1).subarray(0, 11), ttl: LONG }], "me");
      assertWon(await acquire(tier, "a", "t"));
      assert.equal(await tier.leases.fill("a", "t", entry(2), LONG), true);
      await assertStored(tier, "a", entry(2));
    });

    test("fills once, and only by the token that holds the lease", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      assertWon(await acquire(tier, "a", "t"));
      assert.equal(await other.leases.fill("a", "u", entry(9), LONG), false);
      assert.equal(await tier.leases.fill("a", "t", entry(1), LONG), true);
      assert.equal(await tier.leases.fill("a", "t", entry(2), LONG), false);
      await assertStored(other, "a", entry(1));
      assertWon(await acquire(other, "a", "u", { seen: stampBytes(1) }));
    });

    test("fills without a record: nobody's copy is old because of it", async (session) => {
      const tier = await session.open();
      const { head } = await acquire(tier, "a", "t");
      await tier.leases.fill("a", "t", entry(1), LONG);
      assert.deepEqual(await tier.log.head(), head);
    });

    test("fills nothing without a lease", async (session) => {
      const tier = await session.open();
      assert.equal(await tier.leases.fill("a", "t", entry(1), LONG), false);
      assert.equal(await tier.leases.fill("a", "", entry(1), LONG), false);
      await assertStored(tier, "a", undefined);
    });

    test("takes over whoever holds it and whatever is stored; the holder's fill is refused", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      const fence = assertWon(await acquire(tier, "a", "t", { seen: stampBytes(1) }));
      assert.ok(assertWon(await acquire(other, "a", "writer", { takeOver: true })) > fence);
      assert.equal(await tier.leases.fill("a", "t", entry(2), LONG), false);
      assert.equal(await tier.leases.renew("a", "t", LONG), false);
      assert.equal(await tier.leases.release("a", "t"), false);
      assert.equal(await other.leases.fill("a", "writer", entry(3), LONG), true);
      await assertStored(tier, "a", entry(3));
    });

    test("ends when its time is over: the late fill is refused, and another may have it", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      assertWon(await acquire(tier, "a", "t", { ttl: session.short }));
      await session.lapse();
      assert.equal(await tier.leases.renew("a", "t", LONG), false);
      assert.equal(await tier.leases.fill("a", "t", entry(1), LONG), false);
      assertWon(await acquire(other, "a", "u"));
      assert.equal(await tier.leases.fill("a", "t", entry(1), LONG), false);
      assert.equal(await other.leases.fill("a", "u", entry(2), LONG), true);
      await assertStored(tier, "a", entry(2));
    });

    test("lasts as long as it was last renewed for", async (session) => {
      const tier = await session.open();
      assertWon(await acquire(tier, "a", "t", { ttl: LONG }));
      assert.equal(await tier.leases.renew("a", "other", LONG), false);
      assert.equal(await tier.leases.renew("a", "t", session.short), true);
      await session.lapse();
      assert.equal(await tier.leases.renew("a", "t", LONG), false);
      assertWon(await acquire(tier, "a", "t", { ttl: 5_000 }));
      assert.equal(await tier.leases.renew("a", "t", LONG), true);
      const held = await acquire(tier, "a", "u");
      assert.equal(held.state, "held");
      assert.ok(held.remaining > 5_000);
    });

    test("is released by its token only", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      assertWon(await acquire(tier, "a", "t"));
      assert.equal(await other.leases.release("a", "u"), false);
      assert.equal((await acquire(other, "a", "u")).state, "held");
      assert.equal(await tier.leases.release("a", "t"), true);
      assert.equal(await tier.leases.release("a", "t"), false);
      assertWon(await acquire(other, "a", "u"));
    });

    test("commits a written value: an entry, a record for other processes' copies, and the lease ended, in one step", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      const won = await acquire(tier, "a", "writer", { takeOver: true });
      assertWon(won);
      const { heard } = await listen(other);
      const head = await tier.leases.commit("a", "writer", entry(2), LONG, "me");
      assert.ok(head !== undefined && head.position > won.head.position);
      assert.deepEqual(head, { ...won.head, position: head.position });
      const read = await other.store.read(["a"]);
      assert.deepEqual(read.head, head);
      assertBytes(read.values[0], entry(2));
      const record = {
        position: head.position,
        previous: won.head.position,
        origin: "me",
        soft: false,
        marks: keyMarks("a"),
      };
      assert.deepEqual(await recordsSince(other, won.head.position), [record]);
      const settled: LogSignal[] = session.lacks("settled") ? [] : [{ type: "settled", key: "a" }];
      await session.until("the record and the end of the lease", () => heard.length >= 2 + settled.length);
      assert.deepEqual(heard, [{ type: "up" }, { type: "record", record }, ...settled]);
      assert.equal(await tier.leases.commit("a", "writer", entry(3), LONG, "me"), undefined);
      assert.equal(await tier.leases.release("a", "writer"), false);
      await assertStored(other, "a", entry(2));
    });

    test("commits nothing, and appends nothing, when the lease is not its own any more", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      const ends: (() => Promise<unknown>)[] = [
        () => other.store.put([{ key: "a", value: entry(1), ttl: LONG }], "other"),
        () => other.store.invalidate(keyMarks("a"), false, "other"),
        () => other.store.invalidate(keyMarks("a"), true, "other"),
        () => acquire(other, "a", "other", { takeOver: true }),
        () => tier.leases.release("a", "writer"),
        () => session.server.flush(),
        async () => {
          await tier.leases.renew("a", "writer", session.short);
          await session.lapse();
        },
      ];
      for (const end of ends) {
        assertWon(await acquire(tier, "a", "writer", { takeOver: true }));
        await end();
        const before = await other.store.read(["a"]);
        assert.equal(await tier.leases.commit("a", "writer", entry(9), LONG, "me"), undefined);
        assert.deepEqual(await other.store.read(["a"]), before);
      }
    });

    test("forgets what was committed when its time is over", async (session) => {
      const tier = await session.open();
      assertWon(await acquire(tier, "a", "writer"));
      assert.ok((await tier.leases.commit("a", "writer", entry(1), session.short, "me")) !== undefined);
      await session.lapse();
      await assertStored(tier, "a", undefined);
    });

    test("does not outlive a restart of the server", async (session) => {
      const tier = await session.open();
      assertWon(await acquire(tier, "a", "t"));
      await session.server.flush();
      assert.equal(await tier.leases.fill("a", "t", entry(1), LONG), false);
      await assertStored(tier, "a", undefined);
    });

    test("a fill over a soft-stale entry is fresh", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      await tier.store.invalidate(keyMarks("a"), true, "me");
      assertWon(await acquire(tier, "a", "t", { seen: stampBytes(1) }));
      assert.equal(await tier.leases.fill("a", "t", entry(2), LONG), true);
      await assertStored(tier, "a", entry(2));
      assert.equal((await acquire(tier, "a", "u", { seen: stampBytes(1) })).state, "filled");
    });
  });
}

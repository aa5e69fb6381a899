import assert from "node:assert/strict";
import type { LogSignal } from "../../tiers/shared.js";
import type { TestRunner } from "../shared-tier-suite.js";
import {
  acquire,
  assertWon,
  entry,
  keyMarks,
  listen,
  LONG,
  recordsSince,
  section,
  type OpenServer,
} from "./session.js";

export function subscriptionTests(open: OpenServer, runner: TestRunner): void {
  section("subscriptions", open, runner, (test) => {
    test("hears that it stands, and every record appended from then on, its own too", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      const { position } = await tier.log.head();
      const { heard } = await listen(tier);
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      await other.store.invalidate([{ kind: "tag", tag: "é" }, ...keyMarks("a")], true, "you");
      await session.until("two records", () => heard.length >= 3);
      const expected = (await recordsSince(tier, position)).map((record): LogSignal => ({ type: "record", record }));
      assert.deepEqual(heard, [{ type: "up" }, ...expected]);
    });

    test("hears that a lease ended, filled or released, and not that one was refused", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      if (session.lacks("settled")) return;
      const { heard } = await listen(other);
      assertWon(await acquire(tier, "a", "t"));
      await tier.leases.fill("a", "wrong", entry(1), LONG);
      await tier.leases.release("a", "wrong");
      await tier.leases.fill("a", "t", entry(1), LONG);
      assertWon(await acquire(tier, 'b"\\:é', "t"));
      await tier.leases.release('b"\\:é', "t");
      await session.until("two leases that ended", () => heard.length >= 3);
      assert.deepEqual(heard, [{ type: "up" }, { type: "settled", key: "a" }, { type: "settled", key: 'b"\\:é' }]);
    });

    test("reaches every subscriber, those of one tier too, until each ends", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      const [first, second, third] = [await listen(tier), await listen(tier), await listen(other)];
      await other.store.invalidate(keyMarks("a"), false, "me");
      await session.until("the record, three times", () =>
        [first, second, third].every(({ heard }) => heard.length === 2),
      );
      await first.end();
      await other.store.invalidate(keyMarks("b"), false, "me");
      await session.until("the next, twice", () => [second, third].every(({ heard }) => heard.length === 3));
      assert.equal(first.heard.length, 2);
      await first.end();
    });

    test("is over when its tier is closed; another's goes on", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      const [mine, others] = [await listen(tier), await listen(other)];
      await tier.close();
      await other.store.invalidate(keyMarks("a"), false, "me");
      await session.until("the record", () => others.heard.length === 2);
      assert.deepEqual(mine.heard, [{ type: "up" }]);
      await assert.rejects(
        tier.log.subscribe(() => undefined),
        { code: "ERR_CACHE_CLOSED" },
      );
      await tier.close();
    });
  });
}

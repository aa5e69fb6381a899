import assert from "node:assert/strict";
import type { TestRunner } from "../shared-tier-suite.js";
import {
  acquire,
  assertStored,
  assertWon,
  entry,
  keyMarks,
  listen,
  LONG,
  section,
  type OpenServer,
} from "./session.js";

const HOSTILE_NAMES = [
  "a",
  "A",
  "a:b",
  "a/b",
  "a#head",
  "a#log",
  "{a}",
  "a}",
  "a%3Ab",
  "a b",
  "é",
  "\ud800",
  "*",
  "a\r\nFLUSHALL\r\n",
  "~",
  "'a",
];

/** Canonical paths that resemble names of the server's own. */
const PATHS = [
  "b",
  "b#lease",
  "b#head",
  "b%23head",
  "/b:b",
  "/b/b:b",
  "b:b",
  "*",
  "b:",
  ":b",
  "user=1:b",
  "(a,b)",
  "%7Bb%7D",
];

export function isolationTests(open: OpenServer, runner: TestRunner): void {
  section("isolation", open, runner, (test) => {
    test("caches of different names share nothing, whatever their names hold", async (session) => {
      const tiers = [];
      for (const name of HOSTILE_NAMES) tiers.push(await session.open(name));
      for (const [index, tier] of tiers.entries()) {
        assert.equal((await tier.store.read([])).head, undefined);
        assertWon(await acquire(tier, "b", `t${index}`));
        await tier.leases.fill("b", `t${index}`, entry(index), LONG);
      }
      const heads = [];
      for (const [index, tier] of tiers.entries()) {
        await assertStored(tier, "b", entry(index));
        heads.push(await tier.log.head());
      }
      const [first, ...others] = tiers;
      const heard = await listen(others[0] ?? assert.fail());
      await first?.store.invalidate([{ kind: "all" }, ...keyMarks("b")], false, "me");
      for (const [index, tier] of others.entries()) {
        await assertStored(tier, "b", entry(index + 1));
        assert.deepEqual(await tier.log.head(), heads[index + 1]);
        assert.deepEqual(await tier.store.marks([{ kind: "all" }]), [{ hard: heads[index + 1]?.floor, soft: 0 }]);
      }
      await others[0]?.store.invalidate(keyMarks("own"), false, "own");
      await session.until("its own record", () => heard.heard.length >= 2);
      assert.equal(heard.heard[1]?.type === "record" && heard.heard[1].record.origin, "own");
    });

    test("keys share nothing, whatever they hold", async (session) => {
      const tier = await session.open("a");
      const { head } = await tier.store.invalidate([{ kind: "tag", tag: "t" }], false, "me");
      for (const [index, path] of PATHS.entries()) {
        assertWon(await acquire(tier, path, `t${index}`));
      }
      for (const [index, path] of PATHS.entries()) {
        assert.equal(await tier.leases.fill(path, `t${index}`, entry(index), LONG), true);
      }
      for (const [index, path] of PATHS.entries()) await assertStored(tier, path, entry(index));
      assert.deepEqual((await tier.store.read([])).head, head);
      for (const [index, path] of PATHS.entries()) {
        assert.equal((await tier.store.invalidate(keyMarks(path), false, "me")).hit, 1, path);
        for (const [later, other] of PATHS.entries())
          await assertStored(tier, other, later > index ? entry(later) : undefined);
      }
    });
  });
}

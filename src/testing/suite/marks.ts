import assert from "node:assert/strict";
import type { Mark } from "../../invalidation/record.js";
import type { TestRunner } from "../shared-tier-suite.js";
import { entry, keyMarks, LONG, section, type OpenServer } from "./session.js";

const TAG: Mark = { kind: "tag", tag: "global:team:7" };
const PREFIX: Mark = { kind: "prefix", prefix: "user:1:" };
const PATTERN: Mark = { kind: "pattern", pattern: "user:*:orders" };
const TAGS: Mark = { kind: "tags", tags: ["global:a", "global:b,c", 'global:"d"'] };
const ALL: Mark = { kind: "all" };

export function markTests(open: OpenServer, runner: TestRunner): void {
  section("marks", open, runner, (test) => {
    test("tells when each kind of mark was moved, hard and soft apart", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      const { floor } = await tier.log.head();
      for (const mark of [TAG, PREFIX, PATTERN, TAGS, ALL]) {
        const hard = (await tier.store.invalidate([mark], false, "me")).head.position;
        assert.deepEqual(await other.store.marks([mark]), [{ hard, soft: 0 }]);
        const soft = (await tier.store.invalidate([mark], true, "me")).head.position;
        assert.deepEqual(await other.store.marks([mark]), [{ hard, soft }]);
        const again = (await tier.store.invalidate([mark], false, "me")).head.position;
        assert.deepEqual(await other.store.marks([mark]), [{ hard: again, soft }]);
      }
      assert.equal((await tier.log.head()).floor, floor);
    });

    test("answers in the order asked; what was never moved has the floor, and no soft position", async (session) => {
      const tier = await session.open();
      const { head } = await tier.store.invalidate([PREFIX, TAGS], true, "me");
      assert.deepEqual(await tier.store.marks([TAG, TAGS, ALL, PATTERN, PREFIX, TAG]), [
        { hard: head.floor, soft: 0 },
        { hard: head.floor, soft: head.position },
        { hard: head.floor, soft: 0 },
        { hard: head.floor, soft: 0 },
        { hard: head.floor, soft: head.position },
        { hard: head.floor, soft: 0 },
      ]);
      assert.deepEqual(await tier.store.marks([]), []);
    });

    test("takes marks of different kinds with the same text apart", async (session) => {
      const tier = await session.open();
      const { head } = await tier.store.invalidate([{ kind: "tag", tag: "x" }], false, "me");
      const never = { hard: head.floor, soft: 0 };
      assert.deepEqual(
        await tier.store.marks([
          { kind: "prefix", prefix: "x" },
          { kind: "pattern", pattern: "x" },
          { kind: "tags", tags: ["x"] },
          { kind: "tag", tag: "x" },
        ]),
        [never, never, never, { hard: head.position, soft: 0 }],
      );
    });

    test("remembers no marks of single keys: the entry itself tells", async (session) => {
      const tier = await session.open();
      const { head } = await tier.store.invalidate(keyMarks("a"), false, "me");
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      assert.deepEqual(await tier.store.marks([...keyMarks("a"), ALL]), [
        { hard: head.floor, soft: 0 },
        { hard: head.floor, soft: 0 },
      ]);
    });

    test("moves control for every kind of mark but single keys", async (session) => {
      const tier = await session.open();
      for (const mark of [TAG, PREFIX, PATTERN, TAGS, ALL]) {
        for (const soft of [false, true]) {
          const { head } = await tier.store.invalidate([...keyMarks("a"), mark], soft, "me");
          assert.equal(head.control, head.position);
          const after = await tier.store.invalidate(keyMarks("a", "b"), soft, "me");
          assert.equal(after.head.control, head.position);
          assert.ok(after.head.position > head.position);
        }
      }
    });

    test("lists every pattern and set of tags, and nothing else", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      assert.deepEqual(await other.store.rules(), []);
      const first = (await tier.store.invalidate([TAG, PATTERN, PREFIX, ALL, ...keyMarks("a")], false, "me")).head
        .position;
      const second = (await tier.store.invalidate([TAGS, PATTERN], true, "me")).head.position;
      const rules = await other.store.rules();
      assert.equal(rules.length, 2);
      assert.deepEqual(
        rules.find(({ mark }) => mark.kind === "pattern"),
        { mark: PATTERN, hard: first, soft: second },
      );
      assert.deepEqual(
        rules.find(({ mark }) => mark.kind === "tags"),
        { mark: TAGS, hard: 0, soft: second },
      );
    });

    test("forgets the marks moved longest ago when there are too many, and raises the floor to them", async (session) => {
      const tier = await session.open("suite", { maxMarks: 3 });
      const tag = (index: number): Mark => ({ kind: "tag", tag: `t${index}` });
      const positions: number[] = [];
      for (let index = 0; index < 5; index++) {
        positions.push((await tier.store.invalidate([tag(index)], index % 2 === 1, "me")).head.position);
      }
      const { floor } = await tier.log.head();
      assert.equal(floor, positions[1]);
      assert.deepEqual(await tier.store.marks([0, 1, 2, 3, 4].map(tag)), [
        { hard: floor, soft: 0 },
        { hard: floor, soft: 0 },
        { hard: positions[2], soft: 0 },
        { hard: floor, soft: positions[3] },
        { hard: positions[4], soft: 0 },
      ]);
    });

    test("counts a mark that moves again as young", async (session) => {
      const tier = await session.open("suite", { maxMarks: 2 });
      const tag = (name: string): Mark => ({ kind: "tag", tag: name });
      await tier.store.invalidate([tag("a")], false, "me");
      const b = (await tier.store.invalidate([tag("b")], false, "me")).head.position;
      const a = (await tier.store.invalidate([tag("a")], false, "me")).head.position;
      const { head } = await tier.store.invalidate([tag("c")], false, "me");
      assert.equal(head.floor, b);
      assert.deepEqual(await tier.store.marks([tag("a")]), [{ hard: a, soft: 0 }]);
    });

    test("bounds the rules likewise, apart from the other marks", async (session) => {
      const tier = await session.open("suite", { maxRules: 2 });
      const pattern = (index: number): Mark => ({ kind: "pattern", pattern: `p${index}:*` });
      const positions: number[] = [];
      for (let index = 0; index < 4; index++) {
        positions.push(
          (await tier.store.invalidate([pattern(index), { kind: "tag", tag: `t${index}` }], false, "me")).head.position,
        );
      }
      assert.equal((await tier.log.head()).floor, positions[1]);
      assert.deepEqual(
        (await tier.store.rules()).map(({ hard }) => hard).toSorted((one, two) => one - two),
        positions.slice(2),
      );
    });

    test("never answers for what a lost generation knew: all of it is as old as the new floor", async (session) => {
      const tier = await session.open();
      const { head } = await tier.store.invalidate([TAG, PATTERN], false, "me");
      await session.server.flush();
      const [tag] = await tier.store.marks([TAG]);
      const { floor } = await tier.log.head();
      assert.ok(floor > head.position);
      assert.deepEqual(tag, { hard: floor, soft: 0 });
      assert.deepEqual(await tier.store.rules(), []);
    });
  });
}

import assert from "node:assert/strict";
import type { Mark } from "../../invalidation/record.js";
import type { TestRunner } from "../shared-tier-suite.js";
import { entry, keyMarks, LONG, recordsSince, section, type OpenServer } from "./session.js";

const EVERY_KIND: readonly Mark[] = [
  { kind: "key", key: 'user:1:"x"\\' },
  { kind: "tag", tag: "global:é\u2028%3A" },
  { kind: "tags", tags: ["a", "b"] },
  { kind: "prefix", prefix: "user:" },
  { kind: "pattern", pattern: "user:*:orders" },
  { kind: "all" },
];

export function logTests(open: OpenServer, runner: TestRunner): void {
  section("log", open, runner, (test) => {
    test("begins a generation once: position, control and floor are its start", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      const head = await tier.log.head();
      assert.ok(Number.isSafeInteger(head.position) && head.position > 0);
      assert.deepEqual(head, { position: head.position, control: head.position, floor: head.position });
      assert.deepEqual(await other.log.head(), head);
      assert.deepEqual((await other.store.read([])).head, head);
    });

    test("begins a generation with whatever is asked of it first", async (session) => {
      const firsts: ((tier: Awaited<ReturnType<typeof session.open>>) => Promise<unknown>)[] = [
        (tier) => tier.log.since(0, 10),
        (tier) => tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me"),
        (tier) => tier.store.invalidate(keyMarks("a"), false, "me"),
        (tier) => tier.store.marks([{ kind: "all" }]),
        (tier) => tier.store.rules(),
      ];
      let last = 0;
      for (const first of firsts) {
        await session.server.flush();
        const tier = await session.open();
        await first(tier);
        const { head } = await tier.store.read([]);
        assert.ok(head !== undefined && head.floor > last);
        last = head.position;
      }
    });

    test("keeps records as they were appended", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      const start = await tier.log.head();
      const first = (await tier.store.invalidate(EVERY_KIND, false, "origin-1")).head;
      const second = (await tier.store.invalidate(EVERY_KIND, true, 'origin "2"')).head;
      const { records, head } = await other.log.since(start.position, 10);
      assert.deepEqual(head, second);
      assert.deepEqual(records, [
        { position: first.position, previous: start.position, origin: "origin-1", soft: false, marks: EVERY_KIND },
        { position: second.position, previous: first.position, origin: 'origin "2"', soft: true, marks: EVERY_KIND },
      ]);
    });

    test("chains positions that strictly grow", async (session) => {
      const tier = await session.open();
      const start = (await tier.log.head()).position;
      for (let round = 0; round < 50; round++)
        await tier.store.invalidate(keyMarks(`k${round}`), round % 2 === 0, "me");
      let previous = start;
      for (const record of await recordsSince(tier, start)) {
        assert.equal(record.previous, previous);
        assert.ok(record.position > previous);
        previous = record.position;
      }
      assert.equal(previous, (await tier.log.head()).position);
    });

    test("has no records since its head, and those after a position it holds, oldest first, up to the limit", async (session) => {
      const tier = await session.open();
      const positions = [(await tier.log.head()).position];
      for (let round = 0; round < 5; round++) {
        positions.push((await tier.store.invalidate(keyMarks(`k${round}`), false, "me")).head.position);
      }
      const after = async (index: number, limit: number): Promise<number[] | undefined> =>
        (await tier.log.since(positions[index] ?? 0, limit)).records?.map(({ position }) => position);
      assert.deepEqual(await after(5, 10), []);
      assert.deepEqual(await after(4, 10), positions.slice(5));
      assert.deepEqual(await after(0, 10), positions.slice(1));
      assert.deepEqual(await after(0, 5), positions.slice(1));
      assert.deepEqual(await after(0, 2), positions.slice(1, 3));
      assert.deepEqual(await after(2, 2), positions.slice(3, 5));
      assert.equal((await tier.log.since(positions[0] ?? 0, 1)).head.position, positions[5]);
    });

    test("does not reach back to a position it never gave", async (session) => {
      const tier = await session.open();
      const { position } = await tier.log.head();
      assert.equal((await tier.log.since(position - 1, 10)).records, undefined);
      assert.equal((await tier.log.since(position + 1, 10)).records, undefined);
      const { head } = await tier.store.invalidate(keyMarks("a"), false, "me");
      assert.equal((await tier.log.since(0, 10)).records, undefined);
      assert.equal((await tier.log.since(position - 1, 10)).records, undefined);
      const never = await tier.log.since(head.position + 1_000_000, 10);
      assert.equal(never.records, undefined);
      assert.deepEqual(never.head, head);
    });

    test("tells from where on it is whole, when it is asked for what it has not", async (session) => {
      const tier = await session.open();
      const { position } = await tier.log.head();
      const { head } = await tier.store.invalidate(keyMarks("a"), false, "me");
      assert.equal((await tier.log.since(head.position + 5, 10)).oldest, position);
      await session.server.trimLog();
      assert.equal((await tier.log.since(position, 10)).oldest, undefined);
      await tier.store.invalidate(keyMarks("b"), false, "me");
      assert.equal((await tier.log.since(position, 10)).oldest, head.position);
    });

    test("does not reach back to records it forgot", async (session) => {
      const tier = await session.open();
      const start = await tier.log.head();
      const { head } = await tier.store.invalidate(keyMarks("a"), false, "me");
      await session.server.trimLog();
      const trimmed = await tier.log.since(start.position, 10);
      assert.equal(trimmed.records, undefined);
      assert.deepEqual(trimmed.head, head);
      assert.deepEqual(await tier.log.since(head.position, 10), { records: [], head });
      await tier.store.invalidate(keyMarks("b"), false, "me");
      assert.equal((await tier.log.since(start.position, 10)).records, undefined);
      assert.deepEqual(
        (await recordsSince(tier, head.position)).map(({ marks }) => marks),
        [keyMarks("b")],
      );
    });

    test("after a restart begins a newer generation, which does not reach back to the old one", async (session) => {
      const tier = await session.open();
      const { head } = await tier.store.invalidate([{ kind: "all" }], false, "me");
      await session.server.flush();
      assert.equal((await tier.store.read([])).head, undefined);
      const { records, head: begun } = await tier.log.since(head.position, 10);
      assert.equal(records, undefined);
      assert.ok(begun.position > head.position);
      assert.deepEqual(begun, { position: begun.position, control: begun.position, floor: begun.position });
      const after = await tier.store.invalidate(keyMarks("a"), false, "me");
      assert.equal((await recordsSince(tier, begun.position))[0]?.previous, begun.position);
      assert.equal((await tier.log.since(head.position, 10)).records, undefined);
      assert.equal(after.head.floor, begun.floor);
    });
  });
}

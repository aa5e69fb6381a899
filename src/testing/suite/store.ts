import assert from "node:assert/strict";
import type { TestRunner } from "../shared-tier-suite.js";
import {
  acquire,
  assertBytes,
  assertStored,
  assertWon,
  atHand,
  entry,
  keyMarks,
  LONG,
  recordsSince,
  section,
  stampBytes,
  type OpenServer,
} from "./session.js";

export function storeTests(open: OpenServer, runner: TestRunner): void {
  section("store", open, runner, (test) => {
    test("reads nothing, and no head, before a generation begins", async (session) => {
      const tier = await session.open();
      assert.deepEqual(await tier.store.read(["a", "b"]), { values: [undefined, undefined], head: undefined });
      assert.deepEqual(await tier.store.read([]), { values: [], head: undefined });
    });

    test("reads in the order asked, with the head after the last write", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      const written = await tier.store.put([{ key: "b", value: entry(2), ttl: LONG }], "me");
      const { values, head } = await tier.store.read(["b", "none", "a", "b"]);
      assert.equal(values.length, 4);
      assertBytes(values[0], entry(2));
      assertBytes(values[1], undefined);
      assertBytes(values[2], entry(1));
      assertBytes(values[3], entry(2));
      assert.deepEqual(head, written);
    });

    test("gives back the bytes it was given", async (session) => {
      const tier = await session.open();
      const every = Uint8Array.from({ length: 256 }, (_, index) => index);
      const large = new Uint8Array(300_000).fill(0xc3);
      await tier.store.put(
        [
          { key: "every", value: entry(1, every), ttl: LONG },
          { key: "large", value: entry(2, large), ttl: LONG },
          { key: "none", value: new Uint8Array(0), ttl: LONG },
        ],
        "me",
      );
      assertWon(await acquire(tier, "filled", "t"));
      assert.equal(await tier.leases.fill("filled", "t", entry(3, every), LONG), true);
      await assertStored(tier, "every", entry(1, every));
      await assertStored(tier, "large", entry(2, large));
      await assertStored(tier, "none", new Uint8Array(0));
      await assertStored(tier, "filled", entry(3, every));
      const answer = await acquire(tier, "every", "t");
      assert.equal(answer.state, "filled");
      assertBytes(answer.value, entry(1, every));
    });

    test("is not changed by what its caller does to the bytes afterwards", async (session) => {
      const tier = await session.open();
      const value = entry(1, "value");
      const writing = tier.store.put([{ key: "a", value, ttl: LONG }], "me");
      await writing;
      value.fill(0);
      const read = atHand((await tier.store.read(["a"])).values[0]);
      assertBytes(read, entry(1, "value"));
      read?.fill(0);
      await assertStored(tier, "a", entry(1, "value"));
    });

    test("put writes over what is there and appends one hard record with a mark for each key", async (session) => {
      const tier = await session.open();
      const start = await tier.log.head();
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      const head = await tier.store.put(
        [
          { key: "a", value: entry(2), ttl: LONG },
          { key: "b", value: entry(3), ttl: LONG },
        ],
        "you",
      );
      await assertStored(tier, "a", entry(2));
      await assertStored(tier, "b", entry(3));
      const [first, second, ...more] = await recordsSince(tier, start.position);
      assert.deepEqual(more, []);
      assert.ok(first !== undefined && second !== undefined);
      assert.deepEqual(second, {
        position: head.position,
        previous: first.position,
        origin: "you",
        soft: false,
        marks: keyMarks("a", "b"),
      });
      assert.deepEqual(head, { position: second.position, control: start.control, floor: start.floor });
    });

    test("put of a key twice keeps the last value", async (session) => {
      const tier = await session.open();
      const { position } = await tier.log.head();
      await tier.store.put(
        [
          { key: "a", value: entry(1), ttl: LONG },
          { key: "a", value: entry(2), ttl: LONG },
        ],
        "me",
      );
      await assertStored(tier, "a", entry(2));
      assert.deepEqual((await recordsSince(tier, position))[0]?.marks, keyMarks("a"));
    });

    test("put kills the lease: the load that began before fills nothing", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      assertWon(await acquire(other, "a", "t"));
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      assert.equal(await other.leases.renew("a", "t", LONG), false);
      assert.equal(await other.leases.fill("a", "t", entry(2), LONG), false);
      await assertStored(tier, "a", entry(1));
    });

    test("forgets what was put and what was filled when its time is over", async (session) => {
      const tier = await session.open();
      await tier.store.put(
        [
          { key: "short", value: entry(1), ttl: session.short },
          { key: "fraction", value: entry(2), ttl: 0.5 },
          { key: "long", value: entry(3), ttl: LONG },
        ],
        "me",
      );
      assertWon(await acquire(tier, "filled", "t"));
      await tier.leases.fill("filled", "t", entry(4), session.short);
      await session.lapse();
      const { values } = await tier.store.read(["short", "fraction", "filled", "long"]);
      assert.deepEqual(values.slice(0, 3), [undefined, undefined, undefined]);
      assertBytes(values[3], entry(3));
    });

    test("a hard invalidation removes the entries and says how many there were", async (session) => {
      const tier = await session.open();
      await tier.store.put(
        ["a", "b", "c"].map((key, index) => ({ key, value: entry(index), ttl: LONG })),
        "me",
      );
      const { hit, head } = await tier.store.invalidate(keyMarks("a", "none", "b", "a"), false, "me");
      assert.equal(hit, 2);
      const read = await tier.store.read(["a", "b", "c"]);
      assert.deepEqual(read.values.slice(0, 2), [undefined, undefined]);
      assertBytes(read.values[2], entry(2));
      assert.deepEqual(read.head, head);
    });

    test("a soft invalidation flags the entries, keeps every other byte, and says how many there were", async (session) => {
      const tier = await session.open();
      await tier.store.put(
        ["a", "b", "c"].map((key, index) => ({ key, value: entry(index, "text"), ttl: LONG })),
        "me",
      );
      assert.equal((await tier.store.invalidate(keyMarks("a", "none", "b", "a"), true, "me")).hit, 2);
      await assertStored(tier, "a", entry(0, "text", 1));
      await assertStored(tier, "b", entry(1, "text", 1));
      await assertStored(tier, "c", entry(2, "text"));
      await assertStored(tier, "none", undefined);
      assert.equal((await tier.store.invalidate(keyMarks("a"), true, "me")).hit, 1);
    });

    test("a soft invalidation does not touch bytes too short to be an entry", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(1).subarray(0, 11), ttl: LONG }], "me");
      assert.equal((await tier.store.invalidate(keyMarks("a"), true, "me")).hit, 0);
      await assertStored(tier, "a", entry(1).subarray(0, 11));
    });

    test("a soft invalidation does not lengthen an entry's life", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(1), ttl: session.short }], "me");
      await tier.store.invalidate(keyMarks("a"), true, "me");
      await session.lapse();
      await assertStored(tier, "a", undefined);
    });

    test("a hard or soft invalidation of a key refuses the fill of a load that began before, also where nothing was stored", async (session) => {
      const tier = await session.open();
      for (const soft of [false, true]) {
        assertWon(await acquire(tier, "a", "t"));
        assert.equal((await tier.store.invalidate(keyMarks("a"), soft, "me")).hit, 0);
        assert.equal(await tier.leases.fill("a", "t", entry(1), LONG), false);
        await assertStored(tier, "a", undefined);
      }
    });

    test("an invalidation of other marks touches neither entries nor leases", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
      assertWon(await acquire(tier, "b", "t"));
      for (const soft of [false, true]) {
        const { hit } = await tier.store.invalidate(
          [
            { kind: "all" },
            { kind: "tag", tag: "a" },
            { kind: "prefix", prefix: "a" },
            { kind: "pattern", pattern: "*" },
          ],
          soft,
          "me",
        );
        assert.equal(hit, 0);
      }
      await assertStored(tier, "a", entry(1));
      assert.equal(await tier.leases.fill("b", "t", entry(2), LONG), true);
    });

    test("discards the entry with the stamp given, never a newer one", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: entry(2), ttl: LONG }], "me");
      const { head } = await tier.store.read([]);
      assert.equal(await tier.store.discard("a", stampBytes(1)), false);
      await assertStored(tier, "a", entry(2));
      assert.equal(await tier.store.discard("a", stampBytes(2)), true);
      await assertStored(tier, "a", undefined);
      assert.equal(await tier.store.discard("a", stampBytes(2)), false);
      assert.deepEqual((await tier.store.read([])).head, head);
    });

    test("discards bytes too short for a whole stamp by the part they have", async (session) => {
      const tier = await session.open();
      for (const length of [3, 4, 7, 11]) {
        const torn = entry(0x010203040506).subarray(0, length);
        await tier.store.put([{ key: "a", value: torn, ttl: LONG }], "me");
        assert.equal(await tier.store.discard("a", stampBytes(9)), false);
        assert.equal(await tier.store.discard("a", torn.subarray(4, 12)), true);
        await assertStored(tier, "a", undefined);
      }
    });
  });
}

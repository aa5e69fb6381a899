import assert from "node:assert/strict";
import type { SharedTier, StoredValue } from "../../tiers/shared.js";
import type { TestRunner } from "../shared-tier-suite.js";
import {
  acquire,
  assertStored,
  assertWon,
  entry,
  keyMarks,
  LONG,
  recordsSince,
  section,
  stampBytes,
  type OpenServer,
} from "./session.js";

const LENGTH = 2_000_000;

/** Values of two megabytes, which a tier may hand over when they are asked for. */
export function largeValueTests(open: OpenServer, runner: TestRunner): void {
  section("large values", open, runner, (test) => {
    test("come back as they were given, put, filled and committed", async (session) => {
      const [tier, other] = [await session.open(), await session.open()];
      await put(tier, "put", large(1));
      assertWon(await acquire(tier, "filled", "t"));
      assert.equal(await tier.leases.fill("filled", "t", large(2), LONG), true);
      assertWon(await acquire(tier, "committed", "t"));
      assert.notEqual(await tier.leases.commit("committed", "t", large(3), LONG, "me"), undefined);
      await assertLarge(other, "put", large(1));
      await assertLarge(other, "filled", large(2));
      await assertLarge(other, "committed", large(3));
      const answer = await acquire(other, "filled", "u");
      assert.equal(answer.state, "filled");
      assertSame(await bytesOf(answer.value), large(2));
    });

    test("are read among small ones in the order asked, with the head of the same step", async (session) => {
      const tier = await session.open();
      const head = await tier.store.put(
        [
          { key: "a", value: large(1), ttl: LONG },
          { key: "b", value: entry(2), ttl: LONG },
          { key: "c", value: large(3), ttl: LONG },
        ],
        "me",
      );
      const read = await tier.store.read(["c", "none", "b", "a"]);
      assert.deepEqual(read.head, head);
      const values = await Promise.all(read.values.map(bytesOf));
      assertSame(values[0], large(3));
      assert.equal(values[1], undefined);
      assertSame(values[2], entry(2));
      assertSame(values[3], large(1));
    });

    test("tell their length and first bytes before they are fetched", async (session) => {
      const tier = await session.open();
      await put(tier, "a", large(1));
      const [value] = (await tier.store.read(["a"])).values;
      assert.ok(value !== undefined);
      if (value instanceof Uint8Array) return;
      assert.equal(value.size, large(1).length);
      assert.ok(value.head.length >= 12);
      assertSame(value.head, large(1).subarray(0, value.head.length));
    });

    test("are flagged by a soft invalidation, and every other byte stays", async (session) => {
      const tier = await session.open();
      await put(tier, "a", large(1));
      assert.equal((await tier.store.invalidate(keyMarks("a"), true, "me")).hit, 1);
      await assertLarge(tier, "a", large(1, 1));
      assertWon(await acquire(tier, "a", "t"));
    });

    test("go with a hard invalidation: fetched after it, there is nothing", async (session) => {
      const tier = await session.open();
      await put(tier, "a", large(1));
      const [value] = (await tier.store.read(["a"])).values;
      assert.equal((await tier.store.invalidate(keyMarks("a"), false, "me")).hit, 1);
      await assertStored(tier, "a", undefined);
      if (value !== undefined && !(value instanceof Uint8Array)) assert.equal(await value.fetch(), undefined);
    });

    test("are whole or not there when another took their place under way", async (session) => {
      const [tier, writer] = [await session.open(), await session.open()];
      await put(tier, "a", large(1));
      const [value] = (await tier.store.read(["a"])).values;
      const [fetched] = await Promise.all([bytesOf(value), put(writer, "a", large(2))]);
      if (fetched !== undefined) assertSame(fetched, large(1));
      await assertLarge(tier, "a", large(2));
      await put(writer, "a", entry(3));
      await assertStored(tier, "a", entry(3));
      await put(writer, "a", large(4));
      await assertLarge(tier, "a", large(4));
    });

    test("are refused without the lease, and leave what is there", async (session) => {
      const tier = await session.open();
      await put(tier, "a", large(1));
      assertWon(await acquire(tier, "a", "t", { takeOver: true }));
      await put(tier, "a", large(2));
      const { position } = await tier.log.head();
      assert.equal(await tier.leases.fill("a", "t", large(3), LONG), false);
      assert.equal(await tier.leases.commit("a", "t", large(3), LONG, "me"), undefined);
      await assertLarge(tier, "a", large(2));
      assert.deepEqual(await recordsSince(tier, position), []);
    });

    test("are discarded by their stamp", async (session) => {
      const tier = await session.open();
      await put(tier, "a", large(2));
      assert.equal(await tier.store.discard("a", stampBytes(1)), false);
      await assertLarge(tier, "a", large(2));
      assert.equal(await tier.store.discard("a", stampBytes(2)), true);
      await assertStored(tier, "a", undefined);
    });

    test("are forgotten when their time is over", async (session) => {
      const tier = await session.open();
      await tier.store.put([{ key: "a", value: large(1), ttl: session.short }], "me");
      await session.lapse();
      await assertStored(tier, "a", undefined);
    });
  });
}

/** An entry whose every part differs from every other. */
function large(stamp: number, flag: 0 | 1 = 0): Uint8Array {
  const payload = new Uint8Array(LENGTH);
  const view = new DataView(payload.buffer);
  for (let at = 0; at < LENGTH; at += 4) view.setUint32(at, Math.imul(at + 1, 0x9e3779b1) ^ stamp);
  return entry(stamp, payload, flag);
}

function put(tier: SharedTier, key: string, value: Uint8Array): Promise<unknown> {
  return tier.store.put([{ key, value, ttl: LONG }], "me");
}

async function bytesOf(value: StoredValue | undefined): Promise<Uint8Array | undefined> {
  return value === undefined || value instanceof Uint8Array ? value : value.fetch();
}

async function assertLarge(tier: SharedTier, key: string, expected: Uint8Array): Promise<void> {
  assertSame(await bytesOf((await tier.store.read([key])).values[0]), expected);
}

/** Says where two values part, for neither is fit to be shown. */
function assertSame(actual: Uint8Array | undefined, expected: Uint8Array): void {
  assert.ok(actual !== undefined, "nothing is stored");
  assert.equal(actual.length, expected.length);
  if (Buffer.compare(actual, expected) === 0) return;
  assert.equal(
    actual.findIndex((byte, at) => byte !== expected[at]),
    -1,
    "differs from there on",
  );
}

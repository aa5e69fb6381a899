import assert from "node:assert/strict";
import type { TestRunner } from "../shared-tier-suite.js";
import {
  acquire,
  assertStored,
  assertWon,
  atHand,
  entry,
  keyMarks,
  LONG,
  recordsSince,
  section,
  type OpenServer,
} from "./session.js";

const ROUNDS = 30;

export function raceTests(open: OpenServer, runner: TestRunner): void {
  section("races between two connections", open, runner, (test) => {
    test("many who want one lease: one gets it", async (session) => {
      const tiers = [await session.open(), await session.open()] as const;
      const tries = Array.from({ length: 40 }, (_, index) => acquire(tiers[index % 2 === 0 ? 0 : 1], "a", `t${index}`));
      const states = (await Promise.all(tries)).map(({ state }) => state);
      assert.equal(states.filter((state) => state === "won").length, 1);
      assert.equal(states.filter((state) => state === "held").length, 39);
    });

    test("many who append: no position twice, no hole in the chain", async (session) => {
      const tiers = [await session.open(), await session.open()] as const;
      const start = (await tiers[0].log.head()).position;
      const heads = await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          const { store } = tiers[index % 2 === 0 ? 0 : 1];
          if (index % 3 === 0) return store.put([{ key: `k${index}`, value: entry(index), ttl: LONG }], `o${index}`);
          return (await store.invalidate([{ kind: "tag", tag: `t${index % 5}` }], index % 2 === 0, `o${index}`)).head;
        }),
      );
      const records = await recordsSince(tiers[0], start);
      let previous = start;
      for (const record of records) {
        assert.equal(record.previous, previous);
        assert.equal(heads[Number(record.origin.slice(1))]?.position, record.position);
        previous = record.position;
      }
      assert.equal(records.length, 100);
    });

    test("a fill and an invalidation: whichever comes first, nothing old is left", async (session) => {
      const [loader, writer] = [await session.open(), await session.open()];
      for (let round = 0; round < ROUNDS; round++) {
        assertWon(await acquire(loader, "a", `t${round}`));
        const both = [
          () => loader.leases.fill("a", `t${round}`, entry(round), LONG),
          () => writer.store.invalidate(keyMarks("a"), false, "me"),
        ];
        if (round % 2 === 0) both.reverse();
        await Promise.all(both.map((act) => act()));
        await assertStored(writer, "a", undefined);
      }
    });

    test("a fill and a put: the put stays", async (session) => {
      const [loader, writer] = [await session.open(), await session.open()];
      for (let round = 0; round < ROUNDS; round++) {
        assertWon(await acquire(loader, `k${round}`, "t"));
        const both = [
          () => loader.leases.fill(`k${round}`, "t", entry(1), LONG),
          () => writer.store.put([{ key: `k${round}`, value: entry(2), ttl: LONG }], "me"),
        ];
        if (round % 2 === 0) both.reverse();
        await Promise.all(both.map((act) => act()));
        await assertStored(loader, `k${round}`, entry(2));
      }
    });

    test("reads while another writes: no value older than the head, and all of one moment where the tier can", async (session) => {
      const [reader, writer] = [await session.open(), await session.open()];
      const written: number[] = [(await writer.log.head()).position];
      const reads: Promise<{ stamps: readonly (number | undefined)[]; position: number }>[] = [];
      for (let round = 1; round <= ROUNDS; round++) {
        const writing = writer.store.put(
          ["a", "b"].map((key) => ({ key, value: entry(round), ttl: LONG })),
          "me",
        );
        reads.push(
          reader.store.read(["a", "b"]).then(({ values, head }) => ({
            stamps: values.map((value) => atHand(value)?.[11]),
            position: head?.position ?? 0,
          })),
        );
        written[round] = (await writing).position;
      }
      for (const { stamps, position } of await Promise.all(reads)) {
        for (const stamp of stamps) assert.ok(stamp === undefined || (written[stamp] ?? 0) >= position);
        if (session.lacks("batches")) continue;
        assert.equal(stamps[0], stamps[1]);
        assert.equal(position, written[stamps[0] ?? 0]);
      }
    });
  });
}

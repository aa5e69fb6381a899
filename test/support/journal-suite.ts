import { beforeEach, describe, expect, it } from "vitest";
import type { Journal, JournalLog, JournalOperation } from "../../src/index.js";

const REQUEST = { batchId: "batch-1", generation: "generation-1", most: 100, mostBytes: 1_000_000 };
let names = 0;

/** What every journal does, whatever it is kept in. */
export function journalSuite(kind: string, journal: () => Journal): void {
  describe(`a journal: ${kind}`, () => {
    let log: JournalLog;
    let again: () => JournalLog;

    beforeEach(() => {
      names += 1;
      const name = `crm/a{b}#${names}`;
      again = () => journal().open(name);
      log = again();
    });

    it("is empty at first", async () => {
      expect(await log.state()).toEqual({ depth: 0, oldest: 0, dead: 0 });
      expect(await log.seal(REQUEST)).toBeUndefined();
      expect(await log.letters.list(10)).toEqual([]);
      expect(await log.pending(["a"])).toEqual({
        sealed: undefined,
        settled: undefined,
        keys: [{ bodies: [], sum: 0, sealedSum: 0 }],
      });
    });

    it("gives a batch in the order it was appended in, with every byte", async () => {
      const operations = [
        put("1", "a", [0, 255, 10]),
        add("2", "ü{}#: 😀", 7),
        patch("3", "a", []),
        put("4", "b", [1]),
      ];
      expect(await log.append(operations.slice(0, 3), 100)).toEqual({ added: 3, depth: 3 });
      expect(await log.append(operations.slice(3), 100)).toEqual({ added: 1, depth: 4 });
      const batch = await again().seal(REQUEST);
      expect(batch).toMatchObject({ batchId: "batch-1", generation: "generation-1", seq: 1 });
      expect(batch?.operations.map(bare)).toEqual(operations.map(bare));
      expect(batch?.operations.every(({ at }) => at > 1.6e12)).toBe(true);
    });

    it("takes an operation once, however often it comes", async () => {
      await log.append([add("1", "a", 5)], 100);
      expect(await log.append([add("1", "a", 5), add("2", "a", 2)], 100)).toEqual({ added: 2, depth: 2 });
      expect((await log.pending(["a"])).keys[0]?.sum).toBe(7);
    });

    it("takes an operation once though it has been settled meanwhile", async () => {
      await log.append([add("1", "a", 5)], 100);
      await log.seal(REQUEST);
      await log.settle({ batchId: "batch-1", generation: "generation-1", seq: 1, rejected: [] });
      expect(await log.append([add("1", "a", 5)], 100)).toEqual({ added: 1, depth: 0 });
      expect(await log.seal(REQUEST)).toBeUndefined();
    });

    it("takes as many as there is room for", async () => {
      expect(await log.append([put("1", "a"), put("2", "b"), put("3", "c")], 2)).toEqual({ added: 2, depth: 2 });
      expect(await log.append([put("3", "c")], 2)).toEqual({ added: 0, depth: 2 });
      expect((await log.pending(["c"])).keys[0]?.bodies).toEqual([]);
    });

    it("gives the same batch until it is settled, to whoever asks and whatever he asks for", async () => {
      await log.append([put("1", "a"), put("2", "b")], 100);
      const first = await log.seal({ ...REQUEST, most: 1 });
      await log.append([put("3", "c")], 100);
      expect(await again().seal({ ...REQUEST, batchId: "batch-2", generation: "generation-2" })).toEqual(first);
      expect(first?.operations.map(({ opId }) => opId)).toEqual(["1"]);
    });

    it("bounds a batch by its bytes, beyond its first operation", async () => {
      await log.append([put("1", "a", new Array(50).fill(1)), put("2", "b", [1]), put("3", "c", [1])], 100);
      const first = await log.seal({ ...REQUEST, mostBytes: 10 });
      expect(first?.operations.map(({ opId }) => opId)).toEqual(["1"]);
      await log.settle({ batchId: "batch-1", generation: "generation-1", seq: 1, rejected: [] });
      const second = await log.seal({ ...REQUEST, batchId: "batch-2", mostBytes: 10 });
      expect(second?.operations.map(({ opId }) => opId)).toEqual(["2", "3"]);
    });

    it("seals many at once", async () => {
      const operations = Array.from({ length: 450 }, (_, n) => add(`${n}`, `k${n % 7}`, 1));
      await log.append(operations, 1_000);
      const batch = await log.seal({ ...REQUEST, most: 333 });
      expect(batch?.operations.map(({ opId }) => opId)).toEqual(operations.slice(0, 333).map(({ opId }) => opId));
      const { keys } = await log.pending(["k0", "k6"]);
      expect(keys).toMatchObject([
        { sum: 65, sealedSum: 48 },
        { sum: 64, sealedSum: 47 },
      ]);
    });

    it("goes on, after a batch is settled, from the number and the generation that its source has", async () => {
      await log.append([put("1", "a"), add("2", "n", 3), put("3", "b")], 100);
      await log.seal({ ...REQUEST, most: 2 });
      expect(await log.settle({ batchId: "batch-1", generation: "other", seq: 41, rejected: [] })).toBe(true);
      expect(await log.settle({ batchId: "batch-1", generation: "other", seq: 41, rejected: [] })).toBe(false);
      expect(await log.pending(["a", "n", "b"])).toMatchObject({
        sealed: undefined,
        settled: "batch-1",
        keys: [{ bodies: [] }, { sum: 0 }, { bodies: [expect.objectContaining({ 0: 3, length: 1 })] }],
      });
      expect(await log.seal({ ...REQUEST, batchId: "batch-2" })).toMatchObject({
        batchId: "batch-2",
        generation: "other",
        seq: 42,
        operations: [{ opId: "3" }],
      });
    });

    it("settles no batch but the sealed one", async () => {
      await log.append([put("1", "a")], 100);
      expect(await log.settle({ batchId: "batch-1", generation: "g", seq: 1, rejected: [] })).toBe(false);
      await log.seal(REQUEST);
      expect(await log.settle({ batchId: "batch-0", generation: "g", seq: 1, rejected: [] })).toBe(false);
      expect((await log.state()).depth).toBe(1);
    });

    it("tells what is pending of a key: from the newest whole operation on", async () => {
      await log.append([patch("1", "a", [1]), patch("2", "a", [2]), patch("3", "b", [3])], 100);
      const bodiesOf = async (key: string): Promise<readonly (readonly number[])[]> =>
        ((await log.pending([key])).keys[0]?.bodies ?? []).map((body) => [...body]);
      expect(await bodiesOf("a")).toEqual([[1], [2]]);
      await log.append([put("4", "a", [4]), patch("5", "a", [5])], 100);
      expect(await bodiesOf("a")).toEqual([[4], [5]]);
      await log.seal({ ...REQUEST, most: 4 });
      expect(await bodiesOf("a")).toEqual([[4], [5]]);
      await log.settle({ batchId: "batch-1", generation: "g", seq: 1, rejected: [] });
      expect(await bodiesOf("a")).toEqual([[5]]);
      expect(await bodiesOf("b")).toEqual([]);
    });

    it("counts increments, and keeps no list of them", async () => {
      await log.append([add("1", "n", 3), add("2", "n", 4), add("3", "n", -7), add("4", "m", 1)], 100);
      expect((await log.pending(["n", "m"])).keys).toEqual([
        { bodies: [], sum: 0, sealedSum: 0 },
        { bodies: [], sum: 1, sealedSum: 0 },
      ]);
      await log.seal({ ...REQUEST, most: 2 });
      expect((await log.pending(["n"])).keys).toEqual([{ bodies: [], sum: 0, sealedSum: 7 }]);
      await log.settle({ batchId: "batch-1", generation: "g", seq: 1, rejected: [] });
      expect((await log.pending(["n"])).keys).toEqual([{ bodies: [], sum: -7, sealedSum: 0 }]);
    });

    it("keeps what was refused as letters, which count, until they are discarded", async () => {
      await log.append([put("1", "a", [9]), add("2", "n", 2)], 2);
      await log.seal(REQUEST);
      const rejected = [{ opId: "2", reason: "überlauf" }];
      await log.settle({ batchId: "batch-1", generation: "g", seq: 1, rejected });
      expect(await log.state()).toMatchObject({ depth: 0, dead: 1 });
      expect((await log.pending(["n"])).keys[0]).toMatchObject({ sum: 0, sealedSum: 0 });
      expect(await log.append([put("3", "b"), put("4", "b")], 2)).toEqual({ added: 1, depth: 2 });
      expect(await again().letters.list(10)).toMatchObject([{ opId: "2", key: "n", by: 2, reason: "überlauf" }]);
      expect(await log.letters.discard(["2", "5"])).toBe(1);
      expect(await log.letters.discard(["2"])).toBe(0);
      expect(await log.letters.list(10)).toEqual([]);
    });

    it("holds logs of several names apart", async () => {
      const other = journal().open(`other-${names}`);
      await log.append([put("1", "a")], 1);
      expect(await other.append([put("1", "a")], 1)).toEqual({ added: 1, depth: 1 });
      await other.seal(REQUEST);
      expect((await log.pending(["a"])).sealed).toBeUndefined();
    });

    it("tells how old the oldest is, and how many there are", async () => {
      await log.append([put("1", "a")], 10);
      await expect.poll(async () => (await log.state()).oldest, { timeout: 5_000, interval: 2 }).toBeGreaterThan(3);
      await log.append([put("2", "a")], 10);
      expect((await log.state()).depth).toBe(2);
    });
  });
}

function put(opId: string, key: string, body: readonly number[] = [Number(opId)]): JournalOperation {
  return { opId, key, whole: true, by: 0, body: Uint8Array.from(body) };
}

function patch(opId: string, key: string, body: readonly number[]): JournalOperation {
  return { ...put(opId, key, body), whole: false };
}

function add(opId: string, key: string, by: number): JournalOperation {
  return { ...put(opId, key, []), whole: false, by };
}

function bare({ opId, key, whole, by, body }: JournalOperation): unknown {
  return { opId, key, whole, by, body: [...body] };
}

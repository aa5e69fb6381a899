import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { journalSuite } from "../../test/support/journal-suite.js";
import { lmdbJournal } from "./journal.js";

const path = mkdtempSync(join(tmpdir(), "tiercache-journal-"));
afterAll(() => rmSync(path, { recursive: true, force: true }));

const journal = lmdbJournal({ path });
// Held open, as a process does.
const kept = journal.open("kept");
afterAll(() => kept.close());

journalSuite("lmdb", () => journal);

describe("a journal in a file", () => {
  const operation = { opId: "1", key: "k", whole: true, by: 0, body: Uint8Array.of(1, 2) };

  it("is there again after it was closed", async () => {
    const folder = join(path, "again");
    const first = lmdbJournal({ path: folder }).open("a");
    await first.append([operation], 10);
    const sealed = await first.seal({ batchId: "b", generation: "g", most: 10, mostBytes: 100 });
    await first.close();
    await expect(first.state()).rejects.toThrow(/closed/);
    const second = lmdbJournal({ path: folder }).open("a");
    expect(await second.seal({ batchId: "c", generation: "h", most: 10, mostBytes: 100 })).toEqual(sealed);
    await second.close();
  });

  it("refuses options, and a folder it cannot have, by name", () => {
    expect(() => lmdbJournal({ path: "" })).toThrow(/`path`/);
    expect(() => lmdbJournal({ path, maxBytes: "much" })).toThrow(/`maxBytes`/);
    const file = join(path, "file");
    mkdirSync(path, { recursive: true });
    writeFileSync(file, "");
    expect(() => lmdbJournal({ path: join(file, "below") }).open("a")).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_TIER" }),
    );
  });

  it("has no room for more bytes than it was given, and has again when they are gone", async () => {
    const small = lmdbJournal({ path: join(path, "small"), maxBytes: 1_000 }).open("a");
    const large = { ...operation, body: new Uint8Array(400) };
    const several = ["1", "2", "3"].map((opId) => ({ ...large, opId, key: opId }));
    expect(await small.append(several, 100)).toEqual({ added: 2, depth: 2 });
    const batch = await small.seal({ batchId: "b", generation: "g", most: 100, mostBytes: 1_000 });
    expect(batch?.operations).toHaveLength(2);
    await small.settle({ batchId: "b", generation: "g", seq: 1, rejected: [{ opId: "2", reason: "no" }] });
    expect(await small.append([several[2] ?? large, { ...large, opId: "4" }], 100)).toEqual({ added: 1, depth: 2 });
    await small.letters.discard(["2"]);
    expect(await small.append([{ ...large, opId: "4" }], 100)).toEqual({ added: 1, depth: 2 });
    await small.close();
  });
});

import { describe, expect, it } from "vitest";

import type { Facts } from "./facts.js";
import { covers, gapSince, readNote, writeNote, type Note } from "./note.js";
import { parseSnapshot } from "./snapshot.js";

const note: Note = {
  system: "7",
  timeline: "00000001",
  started: "1",
  lsn: 100n,
  except: [],
  tables: { "public.contacts": "a/b" },
};
const facts: Facts = {
  at: 0,
  system: "7",
  timeline: "00000001",
  started: "1",
  lossy: false,
  lsn: 100n,
  snapshot: parseSnapshot("10:20:15"),
  slot: { active: true, lost: false, plugin: "pgoutput", here: true, confirmed: 90n, retained: 0 },
  tables: { "public.contacts": { published: true, covered: true, digest: "a/b" } },
};

describe("a note", () => {
  it("is read as it was written", () => {
    const one = { ...note, lsn: 1n << 40n, except: [1n << 35n, 4n] };
    expect(readNote(writeNote(one))).toEqual(one);
  });

  it.each([undefined, "", "{", "[]", "null", '{"v":2}', '{"v":1,"system":"7"}', writeNote(note).replace("0/64", "x")])(
    "is nothing else: %s",
    (text) => expect(readNote(text)).toBeUndefined(),
  );

  it("covers what was committed before its place in the log", () => {
    expect(covers(note, facts)).toBe(true);
    expect(covers(note, { ...facts, lsn: 101n })).toBe(false);
  });

  it("covers what was not seen yet when the question was asked, and not what was", () => {
    expect(covers({ ...note, except: [15n] }, facts)).toBe(true);
    expect(covers({ ...note, except: [14n] }, facts)).toBe(false);
  });

  it("covers nothing of another history, or of tables its writer does not listen to", () => {
    expect(covers(note, { ...facts, timeline: "00000002" })).toBe(false);
    expect(covers(note, { ...facts, system: "8" })).toBe(false);
    expect(covers({ ...note, tables: {} }, facts)).toBe(false);
  });
});

describe("changes may have passed unseen", () => {
  it("not when the slot stands where the note left it, or before", () => {
    expect(gapSince(note, facts)).toBeUndefined();
    expect(gapSince(note, { ...facts, lsn: 500n })).toBeUndefined();
  });

  it.each<[string, Note | undefined, Facts]>([
    ["when there is no note", undefined, facts],
    ["when the database failed over", note, { ...facts, timeline: "00000002" }],
    ["when it is another database", note, { ...facts, system: "8" }],
    ["when the log went back", note, { ...facts, lsn: 99n }],
    [
      "when the slot stands further",
      note,
      { ...facts, lsn: 500n, slot: facts.slot && { ...facts.slot, confirmed: 101n } },
    ],
    ["when there is no slot", note, { ...facts, slot: undefined }],
    ["when seen commits may be lost by a restart", note, { ...facts, started: "2", lossy: true }],
  ])("%s", (_, before, now) => {
    expect(gapSince(before, now)).toEqual(expect.any(String));
  });

  it("not by a restart of a database that loses no commit", () => {
    expect(gapSince(note, { ...facts, started: "2" })).toBeUndefined();
  });
});

import { describe, expect, it } from "vitest";

import { ABSENT, parsePgOutput, UNCHANGED, type PgOutputMessage, type RowMessage } from "./pgoutput.js";
import { recorded } from "./recorded.fixture.js";

const read = (name: keyof typeof recorded): PgOutputMessage => parsePgOutput(Buffer.from(recorded[name], "hex"));
const cells = (name: keyof typeof recorded): { old: unknown; new: unknown } => {
  const message = read(name) as RowMessage;
  return { old: message.old?.(), new: message.new?.() };
};

describe("what PostgreSQL 18 sends", () => {
  it("begins a transaction with its id and ends it with where the log goes on", () => {
    expect(read("begin")).toEqual({ kind: "begin", xid: 754, finalLsn: 0x1758330n });
    expect(read("commit")).toEqual({ kind: "commit", lsn: 0x1758330n, endLsn: 0x1758360n });
  });

  it("says what a relation is before its first row", () => {
    expect(read("relation")).toEqual({
      kind: "relation",
      id: 16384,
      schema: "public",
      table: "a",
      identity: "d",
      columns: [
        { name: "id", type: 23, key: true },
        { name: "team", type: 25, key: false },
        { name: "big", type: 25, key: false },
      ],
    });
    expect(read("fullRelation")).toMatchObject({ identity: "f", columns: [{ key: true }, { key: true }] });
  });

  it("gives an inserted row's text, and null where there is none", () => {
    expect(cells("insert")).toEqual({ old: undefined, new: ["2", null, ""] });
  });

  it("leaves out a large value that an UPDATE did not touch", () => {
    expect(cells("update")).toEqual({ old: undefined, new: ["1", "b", UNCHANGED] });
  });

  it("gives only the old key of a row whose key changed", () => {
    expect(cells("updateKey")).toEqual({ old: ["2", ABSENT, ABSENT], new: ["7", null, ""] });
  });

  it("gives only the key of a deleted row", () => {
    expect(cells("delete")).toEqual({ old: ["7", ABSENT, ABSENT], new: undefined });
  });

  it("gives the whole old row where the replica identity is full, its nulls as nulls", () => {
    expect(cells("updateFull")).toEqual({ old: ["1", "n"], new: ["1", null] });
    expect(cells("deleteFull")).toEqual({ old: ["1", null], new: undefined });
  });

  it("names every relation that was truncated", () => {
    expect(read("truncate")).toEqual({ kind: "truncate", relations: [16384, 16392] });
  });

  it("passes on messages, in a transaction and outside", () => {
    const content = (name: "message" | "messageAtOnce"): string => {
      const message = read(name);
      return message.kind === "message" ? Buffer.from(message.content).toString() : "";
    };
    expect(read("message")).toMatchObject({ transactional: true, prefix: "views" });
    expect(content("message")).toBe("hello");
    expect(read("messageAtOnce")).toMatchObject({ transactional: false });
    expect(content("messageAtOnce")).toBe("now");
  });

  it("says nothing of types", () => {
    expect(read("type")).toEqual({ kind: "other" });
  });
});

describe("what is not a message", () => {
  it.each(Object.keys(recorded) as (keyof typeof recorded)[])("is refused when a %s ends early", (name) => {
    if (name === "type") return;
    const bytes = Buffer.from(recorded[name], "hex");
    for (let end = 0; end < bytes.length; end++)
      expect(() => parsePgOutput(bytes.subarray(0, end)), `at ${end}`).toThrow(RangeError);
  });

  it.each(Object.keys(recorded) as (keyof typeof recorded)[])("is refused when a %s goes on", (name) => {
    if (name === "type") return;
    expect(() => parsePgOutput(Buffer.from(`${recorded[name]}00`, "hex"))).toThrow(RangeError);
  });

  it("is refused when its kind is not known, for a change must not be skipped", () => {
    expect(() => parsePgOutput(Buffer.from("S0000"))).toThrow('Unknown message "S" of the log');
  });

  it("is read from the middle of a larger buffer as well", () => {
    const whole = Buffer.concat([Buffer.alloc(5), Buffer.from(recorded.insert, "hex"), Buffer.alloc(5)]);
    const message = parsePgOutput(whole.subarray(5, whole.length - 5)) as RowMessage;
    expect(message.new?.()).toEqual(["2", null, ""]);
  });
});

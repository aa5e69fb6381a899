import { describe, expect, it } from "vitest";
import { encodeValue } from "../entries/codec/codec.js";
import type { StoredOperation } from "./journal.js";
import {
  coalesced,
  decodeOperation,
  encodeOperation,
  overlaid,
  pendingOf,
  unreadable,
  type Operation,
} from "./operation.js";

const OPERATION: Operation = { kind: "put", id: 1, base: undefined, value: undefined };

function bodies(...operations: readonly Partial<Operation>[]): readonly Uint8Array[] {
  return operations.map((operation) => encodeOperation({ ...OPERATION, ...operation }));
}

type Given = Partial<Operation> & { readonly key?: string; readonly by?: number };

function stored(...operations: readonly Given[]): readonly StoredOperation[] {
  return operations.map(({ key = "a", by = 0, ...operation }, n) => ({
    opId: `${n}`,
    key,
    whole: false,
    by,
    at: 0,
    body: encodeOperation({ ...OPERATION, ...operation }),
  }));
}

describe("operations on one row", () => {
  it("are one change, in their order", () => {
    expect(
      coalesced(
        stored(
          { value: { n: 1 }, base: 3 },
          { kind: "patch", value: { m: 2 } },
          { kind: "patch", value: { n: 4 }, base: 5 },
        ),
      ),
    ).toEqual([
      { id: 1, key: "a", kind: "put", value: { n: 4, m: 2 }, by: 0, base: 3, bumps: 3, opIds: ["0", "1", "2"] },
    ]);
    expect(coalesced(stored({ value: 1 }, { kind: "delete" }))).toMatchObject([{ kind: "delete", bumps: 2 }]);
    expect(coalesced(stored({ kind: "delete" }, { value: 2 }))).toMatchObject([{ kind: "put", value: 2 }]);
    expect(coalesced(stored({ kind: "add", by: 2 }, { kind: "add", by: -5 }))).toMatchObject([{ kind: "add", by: -3 }]);
    expect(coalesced(stored({ kind: "patch", value: { a: 1 } }, { value: { b: 2 } }))).toMatchObject([
      { kind: "put", value: { b: 2 } },
    ]);
  });

  it("are two where the second must see what the first made", () => {
    const kinds = (...operations: readonly Given[]): readonly string[] =>
      coalesced(stored(...operations)).map(({ kind }) => kind);
    expect(kinds({ kind: "delete" }, { kind: "patch", value: { n: 1 } })).toEqual(["delete", "patch"]);
    expect(kinds({ value: { n: 1 }, base: 3 }, { value: { n: 2 }, base: 3 })).toEqual(["put", "put"]);
    expect(kinds({ value: { n: 1 } }, { value: { n: 2 }, base: 3 })).toEqual(["put", "put"]);
    expect(kinds({ value: "text" }, { kind: "patch", value: { n: 2 } })).toEqual(["put", "patch"]);
    expect(kinds({ kind: "add", by: Number.MAX_SAFE_INTEGER }, { kind: "add", by: 1 })).toEqual(["add", "add"]);
  });

  it("are apart from those on other rows", () => {
    expect(coalesced(stored({ value: 1 }, { key: "b", value: 2 }, { value: 3 }))).toMatchObject([
      { key: "b", value: 2 },
      { key: "a", value: 3 },
    ]);
  });
});

describe("what is pending of a row", () => {
  it("is laid over what is stored", () => {
    const read = (stored: unknown, ...operations: readonly Partial<Operation>[]): unknown =>
      overlaid(pendingOf(bodies(...operations)), stored);
    expect(read({ n: 1 })).toEqual({ n: 1 });
    expect(read({ n: 1 }, { value: { m: 1 } })).toEqual({ m: 1 });
    expect(read({ n: 1 }, { kind: "delete" })).toBeUndefined();
    expect(read({ n: 1, m: 1 }, { kind: "patch", value: { m: 2 } }, { kind: "patch", value: { k: 3 } })).toEqual({
      n: 1,
      m: 2,
      k: 3,
    });
    expect(read({ n: 1 }, { value: { m: 1 } }, { kind: "patch", value: { m: 2 } })).toEqual({ m: 2 });
    expect(read(undefined, { kind: "patch", value: { m: 2 } })).toBeUndefined();
    expect(read({ n: 1 }, { kind: "delete" }, { kind: "patch", value: { m: 2 } })).toBeUndefined();
  });
});

describe("the body of an operation", () => {
  it("says again what it was made from", () => {
    const operation = {
      kind: "patch",
      id: ["a", 7n, null],
      base: 0,
      value: { at: new Date(5), bytes: Uint8Array.of(1) },
    };
    expect(decodeOperation(encodeOperation(operation as Operation))).toEqual(operation);
  });

  it("is of nobody's when it is damaged, and of a later release's when that wrote it", () => {
    const [operation] = stored({ value: 1 });
    const body = Uint8Array.of(1, 2, 3);
    expect(unreadable([{ ...(operation as StoredOperation), body }])).toHaveLength(1);
    expect(unreadable([operation as StoredOperation])).toEqual([]);
    expect(() => decodeOperation(encodeValue([2, "put"]))).toThrow(expect.objectContaining({ code: "ERR_CACHE_TIER" }));
    expect(() => coalesced([{ ...(operation as StoredOperation), body: encodeValue([2, "put"]) }])).toThrow(/format 2/);
  });
});

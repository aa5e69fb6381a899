import { describe, expect, it } from "vitest";
import { Layout } from "./layout.js";
import {
  decodeEntry,
  decodeLease,
  decodeRecord,
  decodeState,
  decodeUsage,
  encodeEntry,
  encodeLease,
  encodeRecord,
  encodeState,
  encodeUsage,
  isSound,
} from "./records.js";

const key = Uint8Array.of(1, 2, 3);
const state = {
  position: 2 ** 53 - 1,
  control: 2,
  floor: 3,
  fence: 4,
  settled: 5,
  records: 6,
  recordBytes: 7,
  marks: 8,
  rules: 9,
};
const record = { previous: 4, origin: "é", soft: true, marks: [{ kind: "tags", tags: ["a", "\u2028"] } as const] };

describe("records of the host tier", () => {
  it("come back as they were", () => {
    expect(decodeState(key, encodeState(key, state))).toEqual(state);
    expect(decodeUsage(key, encodeUsage(key, { bytes: 1e12, entries: 3 }))).toEqual({ bytes: 1e12, entries: 3 });
    const lease = { token: "t\u0000é", since: 1.5, until: 2 };
    expect(decodeLease(key, encodeLease(key, lease))).toEqual(lease);
    expect(decodeRecord(key, encodeRecord(key, record), 9)).toEqual({ position: 9, ...record });
  });

  it("are refused whole with any bit changed, or under another key", () => {
    const bytes = encodeState(key, state);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeState(key, changed)).toThrow(expect.objectContaining({ code: "ERR_CACHE_CORRUPT" }) as Error);
      expect(isSound(key, changed, false, changed.length)).toBe(false);
    }
    expect(() => decodeState(Uint8Array.of(1, 2, 4), bytes)).toThrow("damaged");
    expect(() => decodeState(key, bytes.subarray(0, 3))).toThrow("damaged");
  });

  it("of another format are refused", () => {
    const bytes = encodeState(key, { ...state, position: 2 });
    expect(() => decodeUsage(key, bytes)).toThrow("format 2 is not known here");
  });

  it("hold an entry's path, times and bytes, and hand it out for that path only", () => {
    const value = Uint8Array.of(9, 8, 7);
    const bytes = encodeEntry(key, "a:é", 1, 2.5, value);
    expect(decodeEntry(key, bytes, "a:é")).toEqual({ since: 1, until: 2.5, value });
    expect(decodeEntry(key, bytes, "a:e")).toBeUndefined();
    expect(isSound(key, bytes, true, bytes.length)).toBe(true);
    for (let at = 0; at < bytes.length - value.length; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 16;
      expect(decodeEntry(key, changed, "a:é")).toBeUndefined();
      expect(isSound(key, changed, true, changed.length)).toBe(false);
    }
    for (let length = 0; length < bytes.length - value.length; length++) {
      expect(decodeEntry(key, bytes.subarray(0, length), "a:é")).toBeUndefined();
    }
  });
});

describe("keys of the host tier", () => {
  it("are short, and differ by cache, kind and name", () => {
    const layouts = ["a", "b", "a:b", "\ud800"].map((name) => new Layout(name));
    const paths = ["x", "x:y", "é".repeat(60_000)];
    const keys = layouts.flatMap((layout) => [
      layout.state,
      ...paths.flatMap((path) => [layout.entry(path), layout.lease(path), layout.named(4, path)]),
    ]);
    expect(Math.max(...keys.map(({ length }) => length))).toBeLessThan(64);
    expect(new Set(keys.map((bytes) => Buffer.from(bytes).toString("hex"))).size).toBe(keys.length);
  });

  it("sort by position", () => {
    const layout = new Layout("c");
    const positions = [1, 2, 255, 256, 1_700_000_000_000_000, 2 ** 53 - 1];
    const keys = positions.map((position) => layout.record(position));
    expect(keys.toSorted((one, other) => Buffer.compare(one, other))).toEqual(keys);
    expect(keys.map((bytes) => layout.positionOf(bytes))).toEqual(positions);
    const { start, end } = layout.range(8);
    expect(keys.every((bytes) => Buffer.compare(start, bytes) < 0 && Buffer.compare(bytes, end) < 0)).toBe(true);
  });
});

import { describe, expect, it } from "vitest";
import { Recording } from "./recording.js";
import { DELETE, GET, RequestBatch } from "./trace/request-batch.js";

/** A completed batch of so many requests for the ids from `first`. */
function batchOf(
  first: number,
  length: number,
  told: { size?: number; time?: number; ttl?: number } = {},
): RequestBatch {
  const batch = new RequestBatch();
  for (let i = 0; i < length; i += 1) {
    batch.add(first + i, -1, { key: i, operation: told.ttl === undefined ? GET : DELETE, size: 1, time: 0, ...told });
  }
  return batch;
}

describe("a recording", () => {
  it("has what it was given, though a column comes late and the arrays grow", () => {
    const recording = new Recording();
    recording.add(batchOf(0, 3000));
    recording.add(batchOf(3000, 3000, { size: 7, time: 5, ttl: 9 }));
    recording.add(batchOf(6000, 9000));

    const rowOf = (at: number): readonly number[] => [
      recording.id(at),
      recording.operation(at),
      recording.size(at),
      recording.time(at),
      recording.ttl(at),
    ];
    expect(recording.length).toBe(15_000);
    expect(rowOf(2999)).toEqual([2999, GET, 1, 0, Number.POSITIVE_INFINITY]);
    expect(rowOf(3000)).toEqual([3000, DELETE, 7, 5, 9]);
    expect(rowOf(5999)).toEqual([5999, DELETE, 7, 5, 9]);
    expect(rowOf(14_999)).toEqual([14_999, GET, 1, 0, Number.POSITIVE_INFINITY]);
  });
});

import { describe, expect, it } from "vitest";

import { parseReplicationMessage, statusUpdate } from "./replication-message.js";

describe("the replication stream", () => {
  it("carries data behind a header of 25 bytes", () => {
    const chunk = Buffer.concat([Buffer.from("w"), Buffer.alloc(24), Buffer.from("payload")]);
    const message = parseReplicationMessage(chunk);
    expect(message.kind === "data" && Buffer.from(message.data).toString()).toBe("payload");
  });

  it("carries keepalives that name a place in the log, and may ask for a reply", () => {
    const chunk = Buffer.alloc(18);
    chunk.write("k");
    chunk.writeBigUInt64BE(0x16_b374_d848n, 1);
    expect(parseReplicationMessage(chunk)).toEqual({ kind: "keepalive", lsn: 0x16_b374_d848n, reply: false });
    chunk[17] = 1;
    expect(parseReplicationMessage(chunk)).toMatchObject({ reply: true });
  });

  it.each(["", "w", "k", "x".repeat(30)])("carries nothing else: %s", (text) => {
    expect(() => parseReplicationMessage(Buffer.from(text))).toThrow(RangeError);
  });

  it("is answered with one place three times, and the time since 2000", () => {
    const bytes = Buffer.from(statusUpdate(0x16_b374_d848n, true, 946_684_800_000 + 1_500));
    expect(bytes).toHaveLength(34);
    expect(bytes.toString("latin1", 0, 1)).toBe("r");
    expect([1, 9, 17].map((at) => bytes.readBigUInt64BE(at))).toEqual(Array.from({ length: 3 }, () => 0x16_b374_d848n));
    expect(bytes.readBigInt64BE(25)).toBe(1_500_000n);
    expect(bytes[33]).toBe(1);
    expect(statusUpdate(0n, false, 0)[33]).toBe(0);
  });
});

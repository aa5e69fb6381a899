/** What travels in a replication connection's copy stream (PostgreSQL documentation, "Streaming Replication Protocol"). */
export type ReplicationMessage =
  | { readonly kind: "data"; readonly data: Uint8Array }
  /** Everything that committed before `lsn` has been sent. */
  | { readonly kind: "keepalive"; readonly lsn: bigint; readonly reply: boolean };

/** @throws RangeError for anything else. */
export function parseReplicationMessage(chunk: Uint8Array): ReplicationMessage {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const kind = chunk.length === 0 ? "" : String.fromCharCode(view.getUint8(0));
  if (kind === "w" && chunk.length >= 25) return { kind: "data", data: chunk.subarray(25) };
  if (kind === "k" && chunk.length === 18)
    return { kind: "keepalive", lsn: view.getBigUint64(1), reply: view.getUint8(17) === 1 };
  throw new RangeError(`Unknown message ${JSON.stringify(kind)} of ${chunk.length} bytes in the replication stream`);
}

/** Microseconds from the Unix epoch to Postgres's, the start of 2000. */
const EPOCH = 946_684_800_000_000n;

/**
 * Says how far we are.
 *
 * @param lsn what committed before is not sent again.
 * @param reply asks for a keepalive.
 * @param wall milliseconds since the Unix epoch.
 */
export function statusUpdate(lsn: bigint, reply: boolean, wall: number): Uint8Array {
  const bytes = new Uint8Array(34);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x72; // "r"
  view.setBigUint64(1, lsn); // written
  view.setBigUint64(9, lsn); // flushed
  view.setBigUint64(17, lsn); // applied
  view.setBigInt64(25, BigInt(Math.trunc(wall)) * 1_000n - EPOCH);
  bytes[33] = reply ? 1 : 0;
  return bytes;
}

import { crc32 } from "node:zlib";

/** An entry's bytes with some changed and the checksum made to fit again, as somebody who means it would. */
export function forged(bytes: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const view = new DataView(copy.buffer);
  change(view);
  const header = Uint8Array.of(...copy.subarray(0, 3), ...copy.subarray(4, 12));
  view.setUint32(12, crc32(header, crc32(copy.subarray(16))), true);
  return copy;
}

/** A place in the write-ahead log, as Postgres writes it ("16/B374D848"), as a number. */
export function parseLsn(text: unknown): bigint {
  const match = typeof text === "string" ? /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text) : null;
  if (match === null) throw new TypeError(`Not a place in the write-ahead log: ${String(text)}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

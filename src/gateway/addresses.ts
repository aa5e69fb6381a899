import { BlockList, isIP } from "node:net";

/** An address, or a network by its prefix. */
export interface AddressRange {
  readonly address: string;
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

/** `10.0.0.0/8`, `::1`; `undefined` for what is neither. */
export function addressRange(text: string): AddressRange | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match?.[1] ?? "";
  const version = isIP(address);
  if (version === 0) return undefined;
  const most = version === 4 ? 32 : 128;
  const prefix = match?.[2] === undefined ? most : Number(match[2]);
  return prefix > most ? undefined : { address, prefix, family: version === 4 ? "ipv4" : "ipv6" };
}

/** Whether an address is in one of the ranges; an IPv4 address in IPv6's clothes is the IPv4 address. */
export function addressTest(ranges: readonly string[]): (address: string) => boolean {
  if (ranges.length === 0) return () => false;
  const known = new BlockList();
  for (const text of ranges) {
    const range = addressRange(text);
    if (range !== undefined) known.addSubnet(range.address, range.prefix, range.family);
  }
  return (address) => {
    const plain = plainAddress(address);
    const version = isIP(plain);
    return version !== 0 && known.check(plain, version === 4 ? "ipv4" : "ipv6");
  };
}

/** `::ffff:10.0.0.1` is `10.0.0.1`. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** A value to fill a cache with. Two calls share nothing, so that each value's bytes are its own. */
export type Shape = (i: number) => unknown;

let texts = 0;

/** Text nobody else holds, in memory of its own: not a slice of something longer, nor a pair yet to be joined. */
function text(length: number): string {
  return Buffer.from(`${texts++}${"x".repeat(length)}`.slice(0, length), "latin1").toString("latin1");
}

/** The same of characters that take two bytes. */
function wideText(length: number): string {
  return Buffer.from(`${texts++}${"€".repeat(length)}`.slice(0, length), "utf16le").toString("utf16le");
}

function list<T>(length: number, item: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => item(i));
}

/** What services keep, and what a size estimate may trip over. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  "tiny: a number": (i) => i,
  "tiny: a flag in an object": (i) => ({ on: i % 2 === 0 }),
  "small flat object": (i) => ({ id: i, name: text(12), email: text(22), active: true, score: i + 0.5 }),
  "wide object, 40 columns": () => Object.fromEntries(list(40, (k) => [`column${k}`, text(10)])),
  "dictionary of 200 ids": (i) => Object.fromEntries(list(200, (k) => [`user:${i}:${k}`, k])),
  "20 rows of an array": (i) =>
    list(20, (k) => ({ id: i * 20 + k, title: text(24), owner: { id: k, name: text(10) }, done: false })),
  "one-byte text of 2 KB": () => text(2_048),
  "two-byte text of 1 KB": () => wideText(1_024),
  "200 fractions": () => list(200, (k) => k + 0.5),
  "200 numbers, half of them fractions": () => list(200, (k) => (k % 2 === 0 ? k : k + 0.5)),
  "200 small integers": () => list(200, (k) => k),
  "Float64Array(200)": () => new Float64Array(200),
  "Uint8Array(1000)": () => new Uint8Array(1_000),
  "Uint8Array(16)": () => new Uint8Array(16),
  "Map of 50": () => new Map(list(50, (k) => [text(10), { v: k }])),
  "Set of 50": () => new Set(list(50, () => text(10))),
  "10 dates": (i) => list(10, (k) => new Date(1.7e12 + i + k)),
  "10 big integers": (i) => list(10, (k) => 2n ** 100n + BigInt(i + k)),
};

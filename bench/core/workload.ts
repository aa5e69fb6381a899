/** What is stored: about a contact of a CRM. */
export interface Contact {
  readonly id: number;
  readonly tenant: string;
  readonly name: string;
  readonly email: string;
  readonly tags: readonly string[];
  readonly notes: string;
}

/** A contact of about `bytes` bytes of JSON; at least some 100. */
export function contact(id: number, bytes: number): Contact {
  const bare = { id, tenant: "acme", name: `Contact ${id}`, email: `c${id}@example.com`, tags: ["lead"] };
  const rest = bytes - JSON.stringify({ ...bare, notes: "" }).length;
  return { ...bare, notes: "n".repeat(Math.max(0, rest)) };
}

/** `count` draws from 0 to `population` − 1, rank r with weight 1/r (Zipf, exponent 1); the same ones each time. */
export function zipf(population: number, count: number): Uint32Array {
  const cumulative = new Float64Array(population);
  let total = 0;
  for (let rank = 0; rank < population; rank += 1) {
    total += 1 / (rank + 1);
    cumulative[rank] = total;
  }
  const random = mulberry32(1);
  return Uint32Array.from({ length: count }, () => firstAtLeast(cumulative, random() * total));
}

/** A small generator with a seed (Tommy Ettinger's mulberry32): runs must draw alike. */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function firstAtLeast(sorted: Float64Array, wanted: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

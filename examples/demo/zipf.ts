import type { Random } from "../tracker/random.js";

/**
 * Draws ranks 0 … n − 1, the k-th with a probability proportional to 1 / k^θ: a few are asked for all the time, most hardly ever.
 *
 * The method of Gray et al., "Quickly generating billion-record synthetic databases" (SIGMOD 1994), section 3.2: O(n) once, O(1) a draw.
 */
export function zipfRanks(n: number, theta: number, random: Random): () => number {
  const zeta = harmonic(n, theta);
  const alpha = 1 / (1 - theta);
  const eta = (1 - (2 / n) ** (1 - theta)) / (1 - harmonic(Math.min(2, n), theta) / zeta);
  return () => {
    const u = random.next();
    const scaled = u * zeta;
    if (scaled < 1 || n === 1) {
      return 0;
    }
    if (scaled < 1 + 0.5 ** theta) {
      return 1;
    }
    return Math.min(n - 1, Math.floor(n * (eta * u - eta + 1) ** alpha));
  };
}

/** Spreads ranks over 0 … n − 1, one to one, so that the hot ones are not neighbours. */
export function scatter(n: number): (rank: number) => number {
  let step = Math.floor(n * 0.618_033_988) || 1;
  while (greatestCommonDivisor(step, n) !== 1) {
    step += 1;
  }
  return (rank) => (rank * step + 7) % n;
}

function harmonic(n: number, theta: number): number {
  let sum = 0;
  for (let k = 1; k <= n; k++) {
    sum += 1 / k ** theta;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

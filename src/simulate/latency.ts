import { CacheError } from "../errors.js";
import { toMilliseconds } from "../duration.js";

/** How long answers from one place take, as a log-normal distribution; a constant when both are equal. Milliseconds. */
export interface Latency {
  readonly median: number;
  /** 99 of 100 answers take no longer. */
  readonly p99: number;
}

/** The 99th percentile of the standard normal distribution. */
const Z99 = 2.326_347_874;
const STEPS = 60;

/**
 * A latency from text: `"20ms"` (always), `"20ms/80ms"` (the median and the 99th percentile), with `"us"` besides the
 * units of durations.
 *
 * @throws CacheError `ERR_CACHE_OPTION`
 */
export function toLatency(text: string, option: string): Latency {
  const [median = Number.NaN, p99 = median, ...more] = text.split("/").map((part) => milliseconds(part.trim(), option));
  if (more.length === 0 && median > 0 && p99 >= median) return { median, p99 };
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`${option}\` to be a median like "20ms", or it and a 99th percentile like "20ms/80ms", got \`${JSON.stringify(text)}\``,
  );
}

function milliseconds(text: string, option: string): number {
  const micros = /^(\d+(?:\.\d+)?)us$/.exec(text);
  return micros === null ? toMilliseconds(text, option) : Number(micros[1]) / 1000;
}

/** The mean of a latency. */
export function meanOf(latency: Latency): number {
  return latency.median * Math.exp(sigmaOf(latency) ** 2 / 2);
}

/** Answers from several places: which part of all comes from where. */
export interface Mixture {
  readonly share: number;
  readonly latency: Latency;
}

/** The mean of answers that come from several places. */
export function meanOfMixture(parts: readonly Mixture[]): number {
  return parts.reduce((sum, { share, latency }) => sum + share * meanOf(latency), 0);
}

/** The latency that a part `quantile` (0 to 1) of all answers does not exceed, found by bisection. */
export function quantileOf(parts: readonly Mixture[], quantile: number): number {
  const used = parts.filter(({ share }) => share > 0);
  let low = Math.log(Math.min(...used.map(({ latency }) => latency.median))) - 10;
  let high = Math.log(Math.max(...used.map(({ latency }) => latency.p99))) + 10;
  for (let step = 0; step < STEPS; step += 1) {
    const middle = (low + high) / 2;
    const within = used.reduce((sum, { share, latency }) => sum + share * partWithin(latency, middle), 0);
    if (within >= quantile) high = middle;
    else low = middle;
  }
  return Math.exp(high);
}

/** The part of answers that take no longer than `exp(logarithm)` milliseconds. */
function partWithin(latency: Latency, logarithm: number): number {
  const sigma = sigmaOf(latency);
  const distance = logarithm - Math.log(latency.median);
  if (sigma === 0) return distance >= -1e-12 ? 1 : 0;
  return normal(distance / sigma);
}

function sigmaOf({ median, p99 }: Latency): number {
  return Math.log(p99 / median) / Z99;
}

/** The standard normal distribution, to 1e-7 (Abramowitz, Stegun 1964, 26.2.17). */
function normal(z: number): number {
  const t = 1 / (1 + 0.231_641_9 * Math.abs(z));
  const series =
    t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return z >= 0 ? 1 - tail : tail;
}

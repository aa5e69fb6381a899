import type { ContenderResult } from "../report.js";

/** The row of something that was measured once. */
export function once(
  name: string,
  micros: number,
  baseline: ContenderResult | undefined,
  counts: Readonly<Record<string, number>>,
): ContenderResult {
  const ratio = baseline === undefined ? undefined : micros / baseline.micros.median;
  return {
    name,
    micros: { median: micros, min: micros, max: micros },
    opsPerCpuSecond: Math.round(1e6 / micros),
    ratio: ratio === undefined ? undefined : { median: ratio, min: ratio, max: ratio },
    counts,
  };
}

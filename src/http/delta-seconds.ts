/** What a larger number of seconds counts as: 68 years (RFC 9111 §1.2.2). */
export const MAX_DELTA_SECONDS: number = 2 ** 31;

/** A non-negative number of seconds; `undefined` for anything but digits. */
export function parseDeltaSeconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? Math.min(Number(text), MAX_DELTA_SECONDS) : undefined;
}

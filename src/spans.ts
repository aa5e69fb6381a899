/** `45 s`, `3 min`, `2.5 h`, `4 d`: to two digits that matter. */
export function span(milliseconds: number): string {
  const amount = Math.abs(milliseconds);
  const sign = milliseconds < 0 ? "-" : "";
  if (amount < 1_000) return `${sign}${Math.round(amount)} ms`;
  if (amount < 90_000) return `${sign}${short(amount / 1_000)} s`;
  if (amount < 5_400_000) return `${sign}${short(amount / 60_000)} min`;
  if (amount < 129_600_000) return `${sign}${short(amount / 3_600_000)} h`;
  return `${sign}${short(amount / 86_400_000)} d`;
}

function short(value: number): string {
  return value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}

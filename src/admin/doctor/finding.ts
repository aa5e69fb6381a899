/** What a check of the doctor's found. */
export interface Finding {
  readonly area: "redis" | "entries" | "processes" | "fallback" | "postgres" | "code";
  /** What was looked at, in a word or two; the same in every run. */
  readonly check: string;
  readonly level: Level;
  readonly message: string;
  /** The statement, option or setting that mends it. */
  readonly fix?: string | undefined;
}

/** `skipped`: it could not be looked at. */
export type Level = "ok" | "warn" | "fail" | "skipped";

/** Makes the findings of one area. */
export function findings(
  area: Finding["area"],
): (check: string, level: Level, message: string, fix?: string) => Finding {
  return (check, level, message, fix) => ({ area, check, level, message, fix });
}

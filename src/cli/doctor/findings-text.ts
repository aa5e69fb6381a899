import type { Terminal } from "../terminal.js";
import { plainText } from "../../plain-text.js";
import type { Finding, Level } from "../../admin/doctor/finding.js";

const AREAS: Readonly<Record<Finding["area"], string>> = {
  redis: "Redis",
  entries: "Entries",
  processes: "Processes",
  fallback: "Fallback",
  postgres: "PostgreSQL",
  code: "Code",
};
const MARKS: Readonly<Record<Level, string>> = { ok: "ok  ", warn: "warn", fail: "FAIL", skipped: "–   " };

/** Findings by area, for people. */
export function findingsText(all: readonly Finding[], colors: Terminal["colors"]): string {
  const paint: Readonly<Record<Level, (text: string) => string>> = {
    ok: colors.green,
    warn: colors.yellow,
    fail: colors.red,
    skipped: colors.dim,
  };
  const lines: string[] = [];
  for (const area of Object.keys(AREAS) as Finding["area"][]) {
    const own = all.filter((finding) => finding.area === area);
    if (own.length === 0) continue;
    lines.push(...(lines.length === 0 ? [] : [""]), colors.bold(AREAS[area]));
    for (const { check, level, message, fix } of own) {
      lines.push(`  ${paint[level](MARKS[level])} ${plainText(check)}: ${plainText(message)}`);
      if (fix !== undefined && level !== "ok") lines.push(`       ${colors.cyan(plainText(fix))}`);
    }
  }
  const count = (level: Level): number => all.filter((finding) => finding.level === level).length;
  lines.push(
    "",
    `${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed, ${count("skipped")} skipped`,
  );
  return `${lines.join("\n")}\n`;
}

/** Figures as people read them: short, aligned, and the same everywhere. */

export function number(n: number): string {
  if (!Number.isFinite(n)) return "–";
  const size = Math.abs(n);
  if (size >= 1e9) return `${trim(n / 1e9)}G`;
  if (size >= 1e6) return `${trim(n / 1e6)}M`;
  if (size >= 1e4) return `${trim(n / 1e3)}k`;
  if (size >= 100 || Number.isInteger(n)) return Math.round(n).toLocaleString("en-US");
  return trim(n);
}

export function rate(n: number): string {
  return `${number(n)}/s`;
}

export function percent(share: number, digits = 1): string {
  if (!Number.isFinite(share)) return "–";
  // 99.97 % is not 100 %.
  const text = (Math.floor(share * 100 * 10 ** digits + 1e-9) / 10 ** digits).toFixed(digits);
  return `${text}%`;
}

export function bytes(n: number): string {
  if (!Number.isFinite(n)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = n;
  let unit = 0;
  // As in options: "64mb" is 64 times 1024 times 1024.
  while (Math.abs(size) >= 1_000 && unit < units.length - 1) {
    size /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(size) : trim(size)} ${units[unit]}`;
}

/** A length of time, from a tenth of a microsecond to days. */
export function duration(ms: number | undefined | null): string {
  if (ms === undefined || ms === null || !Number.isFinite(ms)) return "–";
  const size = Math.abs(ms);
  const sign = ms < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size < 0.001) return `${sign}${Math.round(size * 1e6)} ns`;
  if (size < 1) return `${sign}${trim(size * 1e3)} µs`;
  if (size < 1_000) return `${sign}${trim(size)} ms`;
  if (size < 60_000) return `${sign}${trim(size / 1_000)} s`;
  if (size < 3_600_000) return sign + two(size, 60_000, "min", 1_000, "s");
  if (size < 86_400_000) return sign + two(size, 3_600_000, "h", 60_000, "min");
  return sign + two(size, 86_400_000, "d", 3_600_000, "h");
}

function two(ms: number, large: number, name: string, small: number, rest: string): string {
  const left = Math.floor((ms % large) / small);
  return left === 0 ? `${Math.floor(ms / large)} ${name}` : `${Math.floor(ms / large)} ${name} ${pad(left)} ${rest}`;
}

/** A name of somebody else's, with what would not be seen, or would turn the text around, written out (Unicode TR 36, 3.1). */
export function visible(name: string): string {
  return name.replace(
    /[\u0000-\u001F\u007F-\u009F\u00AD\u061C\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function clock(at: number): string {
  const date = new Date(at);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

export function plural(
  n: number,
  one: string,
  many: string = one.endsWith("y") ? `${one.slice(0, -1)}ies` : `${one}s`,
): string {
  return `${number(n)} ${n === 1 ? one : many}`;
}

/** Three digits, without zeros that say nothing. */
function trim(n: number): string {
  const size = Math.abs(n);
  if (size >= 100) return n.toFixed(0);
  const text = n.toFixed(size >= 10 ? 1 : 2);
  return text.replace(/\.0+$/, "");
}

function pad(n: number): string {
  return String(n).padStart(2, "0");
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)";
const MONTH = `(${MONTHS.join("|")})`;
const TIME = String.raw`(\d{2}):(\d{2}):(\d{2})`;
const IMF_FIXDATE = new RegExp(String.raw`^${DAY}, (\d{2}) ${MONTH} (\d{4}) ${TIME} GMT$`);
const RFC_850 = new RegExp(String.raw`^${LONG_DAY}, (\d{2})-${MONTH}-(\d{2}) ${TIME} GMT$`);
const ASCTIME = new RegExp(String.raw`^${DAY} ${MONTH} ([ \d]\d) ${TIME} (\d{4})$`);

/** Characters of the longest date: an RFC 850 one of a Wednesday. */
const LONGEST = 33;

/** How far ahead a year of two digits may lie: past that it was in the last century (RFC 9110 §5.6.7). */
const YEARS_AHEAD = 50;

/**
 * The moment an HTTP date names (RFC 9110 §5.6.7), in milliseconds since the epoch; `undefined` for what is in none of the
 * three forms, or no date (`31 Feb`).
 *
 * @param now the moment a year of two digits is read at, in milliseconds since the epoch.
 */
export function parseHttpDate(text: string, now: number): number | undefined {
  const fixed = IMF_FIXDATE.exec(text);
  if (fixed !== null) return moment(fixed[3], fixed[2], fixed[1], fixed.slice(4));
  const old = RFC_850.exec(text);
  if (old !== null) return moment(fullYear(Number(old[3]), now), old[2], old[1], old.slice(4));
  const asctime = ASCTIME.exec(text);
  if (asctime !== null) return moment(asctime[6], asctime[1], asctime[2], asctime.slice(3, 6));
  return undefined;
}

/**
 * As `parseHttpDate`, as freshness is to be reckoned: in any case, and with "UTC" for "GMT" (RFC 9111 §4.2). No other zone: what
 * names one is no date.
 */
export function parseFreshnessDate(text: string, now: number): number | undefined {
  const exact = parseHttpDate(text, now);
  // Longer ones are none, whatever their case.
  if (exact !== undefined || text.length > LONGEST) return exact;
  const cased = text.toLowerCase().replace(/(?<![a-z])[a-z]/g, (letter) => letter.toUpperCase());
  return parseHttpDate(cased.replace(/(?<= )(?:gmt|utc)$/i, "GMT"), now);
}

/** The moment as an IMF-fixdate. */
export function formatHttpDate(time: number): string {
  return new Date(time).toUTCString();
}

function fullYear(short: number, now: number): number {
  const year = new Date(now).getUTCFullYear();
  const guess = year - (year % 100) + short;
  return guess > year + YEARS_AHEAD ? guess - 100 : guess;
}

function moment(
  year: string | number | undefined,
  month: string | undefined,
  day: string | undefined,
  time: readonly string[],
): number | undefined {
  const [hours = 99, minutes = 99, seconds = 99] = time.map(Number);
  // 60 is a leap second, which the epoch does not have.
  if (hours > 23 || minutes > 59 || seconds > 60) return undefined;
  const date = new Date(0);
  const monthIndex = MONTHS.indexOf(month ?? "");
  date.setUTCFullYear(Number(year), monthIndex, Number(day));
  if (date.getUTCMonth() !== monthIndex || date.getUTCDate() !== Number(day)) return undefined;
  return date.setUTCHours(hours, minutes, Math.min(seconds, 59));
}

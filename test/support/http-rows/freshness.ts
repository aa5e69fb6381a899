import type { Row } from "../scripted-http.js";
import { date, notReused, PRIVATE, reused, SHARED } from "./row.js";

const OLD = date(-864_000);
const AHEAD = date(86_400);

/** Cache-Control as it is written: what is reused by it. */
const REUSED_DIRECTIVES: readonly (readonly [title: string, ...lines: string[]])[] = [
  ["max-age", "max-age=3600"],
  ["max-age in capitals", "MAX-AGE=3600"],
  ["max-age in mixed case", "mAx-aGe=3600"],
  ["max-age with leading zeros", "max-age=003600"],
  ["max-age as a quoted string", 'max-age="3600"'],
  ["max-age after an unknown directive", "foobar, max-age=3600"],
  ["max-age before an unknown directive with an argument", "max-age=3600, foo=bar"],
  ["max-age beside a quoted argument with a comma", 'foo="bar, baz", max-age=3600'],
  ["max-age beside a quoted argument that looks like no-store", 'foo="no-store", max-age=3600'],
  ["max-age beside a quoted argument that looks like max-age", 'foo="bar, max-age=0, baz", max-age=3600'],
  ["max-age beside an escaped quote", String.raw`foo="a\"b, no-store", max-age=3600`],
  ["max-age with a comma at the end", "max-age=3600,"],
  ["max-age with a comma in front", ", max-age=3600"],
  ["max-age between empty members", ",, max-age=3600 , ,"],
  ["max-age without blanks", "public,max-age=3600"],
  ["max-age after tabs", "public,\tmax-age=3600\t"],
  ["max-age on a second line", "public", "max-age=3600"],
  ["max-age on a first line", "max-age=3600", "foo"],
  ["max-age of 2^31", "max-age=2147483648"],
  ["max-age of 2^31 - 1", "max-age=2147483647"],
  ["max-age past 2^32", "max-age=4294967297"],
  ["max-age past 2^63", "max-age=99999999999999999999"],
  ["max-age of a thousand digits", `max-age=${"9".repeat(1_000)}`],
  ["max-age beside a directive that begins alike", "max-age=3600, max-age-foo=0"],
  ["max-age beside one that ends alike", "x-max-age=0, max-age=3600"],
  ["max-age beside an unknown no-store-foo", "no-store-foo, max-age=3600"],
  ["max-age named twice alike", "max-age=3600, max-age=3600"],
  ["max-age with immutable", "max-age=3600, immutable"],
  ["max-age with public", "public, max-age=3600"],
  ["max-age with must-revalidate while fresh", "max-age=3600, must-revalidate"],
  ["max-age with proxy-revalidate while fresh", "max-age=3600, proxy-revalidate"],
  ["max-age with no-transform", "max-age=3600, no-transform"],
  ["max-age with must-understand", "max-age=3600, must-understand"],
  ["max-age with stale-while-revalidate", "max-age=3600, stale-while-revalidate=10"],
];

const NOT_REUSED_DIRECTIVES: readonly (readonly [title: string, ...lines: string[]])[] = [
  ["max-age=0", "max-age=0"],
  ["a negative max-age", "max-age=-3600"],
  ["max-age in single quotes", "max-age='3600'"],
  ["max-age without a number", "max-age"],
  ["max-age with nothing after =", "max-age="],
  ["max-age that is a word", "max-age=soon"],
  ["max-age with letters after its digits", "max-age=3600s"],
  ["max-age in hexadecimal", "max-age=0xff"],
  ["max-age as an argument of something else", 'foo="max-age=3600"'],
  ["max-age that is only a part of a name", "x-max-age=3600"],
  ["a colon in the place of =", "max-age:3600"],
];

const dates = (offset: number): Readonly<Record<string, string>> => {
  const at = new Date(Date.now() + offset * 1_000);
  const [, day = "", month = "", year = "", time = ""] = /, (\d\d) (\w+) (\d{4}) (\S+)/.exec(at.toUTCString()) ?? [];
  const short = at.toUTCString().slice(0, 3);
  const long = at.toLocaleDateString("en-US", { weekday: "long", timeZone: "UTC" });
  return {
    "RFC 850": `${long}, ${day}-${month}-${year.slice(2)} ${time} GMT`,
    asctime: `${short} ${month} ${String(Number(day)).padStart(2, " ")} ${time} ${year}`,
    "zone +0000": `${short}, ${day} ${month} ${year} ${time} +0000`,
    "zone PST": `${short}, ${day} ${month} ${year} ${time} PST`,
    "zone missing": `${short}, ${day} ${month} ${year} ${time}`,
    "dashes with four digits": `${short}, ${day}-${month}-${year} ${time} GMT`,
    "two digits for the year": `${short}, ${day} ${month} ${year.slice(2)} ${time} GMT`,
    "single digits of the hour": `${short}, ${day} ${month} ${year} 1:02:03 GMT`,
    "lower case": at.toUTCString().toLowerCase(),
    "upper case": at.toUTCString().toUpperCase(),
    "zone UTC": `${short}, ${day} ${month} ${year} ${time} UTC`,
    ISO: at.toISOString(),
    "no weekday": `${day} ${month} ${year} ${time} GMT`,
    "two blanks": at.toUTCString().replace(", ", ",  "),
    "no comma": at.toUTCString().replace(",", ""),
    "dots in the time": at.toUTCString().replaceAll(":", "."),
    epoch: String(Math.floor(at.getTime() / 1_000)),
  };
};
const FORMS = dates(90_000);
const GOOD_FORMS = ["RFC 850", "asctime", "lower case", "upper case", "zone UTC"];

const AGES_IGNORED: readonly (readonly [title: string, value: string | readonly string[]])[] = [
  ["that is 0", "0"],
  ["that is less than the lifetime", "3000"],
  ["that is negative", "-7200"],
  ["with a decimal point", "7200.0"],
  ["that is text", "abc"],
  ["that is empty", ""],
  ["with digits and letters", "7200s"],
  ["in quotes", '"7200"'],
  ["whose first member is small", "0, 7200"],
  ["whose first line is small", ["0", "7200"]],
];
const AGES_COUNTED: readonly (readonly [title: string, value: string | readonly string[]])[] = [
  ["that is the lifetime", "3600"],
  ["that is more than the lifetime", "7200"],
  ["with leading zeros", "0007200"],
  ["that is 2^31", "2147483648"],
  ["past 2^31", "4294967297"],
  ["past 2^63", "99999999999999999999"],
  ["whose first member is large", "7200, 0"],
  ["whose first line is large", ["7200", "0"]],
];

const HEURISTIC = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];
const NOT_HEURISTIC = [201, 202, 299, 302, 303, 307, 400, 403, 409, 416, 429, 451, 499, 500, 502, 503, 504, 599];
const EXPLICIT = [
  200, 201, 202, 203, 204, 205, 226, 299, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 410, 414, 418, 429, 451,
  499, 500, 501, 502, 503, 504, 599,
]; // prettier-ignore

const cacheControl = (lines: readonly string[]): { readonly "cache-control": readonly string[] } => ({
  "cache-control": lines,
});

export const FRESHNESS: readonly Row[] = [
  ...REUSED_DIRECTIVES.map(([title, ...lines]) => reused("9111 §5.2", title, cacheControl(lines))),
  ...NOT_REUSED_DIRECTIVES.map(([title, ...lines]) => notReused("9111 §5.2", title, cacheControl(lines))),
  notReused("9111 §4.2.1", "the larger of two max-age", { "cache-control": "max-age=0, max-age=3600" }),
  notReused("9111 §4.2.1", "the larger of two lines of max-age", { "cache-control": ["max-age=0", "max-age=3600"] }),
  notReused("9111 §4.2.1", "max-age=0 with Expires ahead", { "cache-control": "max-age=0", expires: AHEAD }),
  reused("9111 §4.2.1", "max-age with Expires in the past", { "cache-control": "max-age=3600", expires: OLD }),
  reused("9111 §4.2.1", "max-age with an Expires that is none", { "cache-control": "max-age=3600", expires: "0" }),
  reused("9111 §4.2.1", "s-maxage over max-age", { "cache-control": "max-age=0, s-maxage=3600" }, SHARED),
  reused("9111 §4.2.1", "S-MAXAGE in capitals", { "cache-control": "max-age=0, S-MAXAGE=3600" }, SHARED),
  reused("9111 §4.2.1", "s-maxage over Expires", { "cache-control": "s-maxage=3600", expires: OLD }, SHARED),
  reused("9111 §4.2.1", "s-maxage alone", { "cache-control": "s-maxage=3600" }, SHARED),
  notReused("9111 §4.2.1", "s-maxage=0 with max-age", { "cache-control": "s-maxage=0, max-age=3600" }, SHARED),
  notReused("9111 §4.2.1", "max-age=0 by s-maxage", { "cache-control": "max-age=0, s-maxage=3600" }, PRIVATE),
  reused("9111 §4.2.1", "max-age with s-maxage=0", { "cache-control": "max-age=3600, s-maxage=0" }, PRIVATE),
  notReused("9111 §4.2.1", "max-age with Date too long ago", { "cache-control": "max-age=3600", date: date(-7_200) }),
  reused("9111 §4.2.3", "max-age with Date not so long ago", { "cache-control": "max-age=3600", date: date(-1_800) }),
  reused("9111 §4.2.3", "max-age with Date ahead", { "cache-control": "max-age=3600", date: date(7_200) }),
  reused("9110 §6.6.1", "max-age without Date", { "cache-control": "max-age=3600", date: undefined }),
  reused("9110 §6.6.1", "max-age with a Date that is none", { "cache-control": "max-age=3600", date: "foo" }),
  ...AGES_IGNORED.map(([title, age]) =>
    reused("9111 §5.1", `an answer with Age ${title}`, { "cache-control": "max-age=3600", age }),
  ),
  ...AGES_COUNTED.map(([title, age]) =>
    notReused("9111 §5.1", `an answer with Age ${title}`, { "cache-control": "max-age=3600", age }),
  ),
  notReused("9111 §4.2.3", "an Expires that Age has passed", { expires: date(3_600), age: "7200" }),

  reused("9111 §5.3", "Expires ahead", { expires: AHEAD }),
  reused("9111 §5.3", "Expires ahead without Date", { expires: AHEAD, date: undefined }),
  reused("9111 §5.3", "Expires ahead with a Date that is none", { expires: AHEAD, date: "foo" }),
  notReused("9111 §5.3", "Expires in the past", { expires: OLD }),
  notReused("9111 §5.3", "Expires that is Date", { expires: date(0), date: date(0) }),
  notReused("9111 §5.3", "Expires ahead of now and behind Date", { expires: date(3_600), date: date(7_200) }),
  notReused("9111 §5.3", "Expires ahead by less than Date is past", { expires: date(-1), date: date(-7_200) }),
  notReused("9111 §5.3", "Expires: 0", { expires: "0" }),
  notReused("9111 §5.3", "Expires: -1", { expires: "-1" }),
  notReused("9111 §5.3", "an empty Expires", { expires: "", "last-modified": OLD }),
  notReused("9111 §5.3", "Expires: never", { expires: "never" }),
  notReused("9111 §5.3", "Expires: 0 with Last-Modified", { expires: "0", "last-modified": OLD }),
  reused("9111 §5.3", "the first of two Expires, which is ahead", { expires: [AHEAD, OLD] }),
  notReused("9111 §5.3", "the second of two Expires", { expires: [OLD, AHEAD] }),
  ...Object.entries(FORMS).map(([form, expires]) =>
    GOOD_FORMS.includes(form)
      ? reused("9110 §5.6.7", `Expires in the form ${form}`, { expires })
      : notReused("9110 §5.6.7", `Expires in the form ${form}`, { expires }),
  ),

  ...HEURISTIC.map((status) =>
    reused("9111 §4.2.2", `${status} by Last-Modified`, { status, fields: { "last-modified": OLD } }),
  ),
  ...[200, 404, 501].map((status) => notReused("9111 §4.2.2", `${status} that says nothing`, { status, fields: {} })),
  ...NOT_HEURISTIC.map((status) =>
    notReused("9111 §4.2.2", `${status} by Last-Modified alone`, { status, fields: { "last-modified": OLD } }),
  ),
  ...[200, 201, 299, 302, 400, 403, 499, 500, 599].map((status) =>
    reused("9111 §4.2.2", `${status} by Last-Modified with public`, {
      status,
      fields: { "last-modified": OLD, "cache-control": "public" },
    }),
  ),
  notReused("9111 §4.2.2", "what was modified just now", { "last-modified": date(-1), date: date(-2) }),
  notReused("9111 §4.2.2", "what was modified ahead", { "last-modified": date(86_400) }),
  notReused("9111 §4.2.2", "by a Last-Modified that is no date", { "last-modified": "long ago" }),
  ...["public", "immutable", "must-revalidate", "no-transform", "stale-while-revalidate=0"].map((value) =>
    notReused("9111 §4.2.2", `what says only ${value}`, { "cache-control": value }),
  ),
  notReused("9111 §4.2.2", "what has only an ETag", { etag: '"a"' }),
  notReused("9111 §4.2.2", "by Last-Modified what is older than a tenth of it", { "last-modified": OLD, age: "90000" }),
  ...EXPLICIT.map((status) =>
    reused("9111 §3", `${status} with max-age`, { status, fields: cacheControl(["max-age=3600"]) }),
  ),
  ...[200, 299, 404, 599].map((status) =>
    reused("9111 §3", `${status} with Expires`, { status, fields: { expires: AHEAD } }),
  ),
  ...[200, 299, 404, 599].map((status) =>
    notReused("9111 §4.2", `${status} that is stale`, { status, fields: cacheControl(["max-age=0"]) }),
  ),
];

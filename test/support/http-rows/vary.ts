import type { Lines, Row, Turn } from "../scripted-http.js";
import { date, fresh, GATEWAY, row } from "./row.js";

type Case = readonly [title: string, vary: string | readonly string[], first: Lines, second: Lines];

const MATCHES: readonly Case[] = [
  ["the same value", "x-a", { "x-a": "1" }, { "x-a": "1" }],
  ["a name in another case", "X-A", { "x-a": "1" }, { "x-a": "1" }],
  ["the field in neither", "x-a", {}, {}],
  ["another field that differs", "x-a", { "x-a": "1", "x-b": "1" }, { "x-a": "1", "x-b": "2" }],
  ["two names", "x-a, x-b", { "x-a": "1", "x-b": "2" }, { "x-b": "2", "x-a": "1" }],
  ["two names without a blank", "x-a,x-b", { "x-a": "1", "x-b": "2" }, { "x-a": "1", "x-b": "2" }],
  ["two lines", ["x-a", "x-b"], { "x-a": "1", "x-b": "2" }, { "x-a": "1", "x-b": "2" }],
  ["three names, one in neither", "x-a, x-b, x-c", { "x-a": "1", "x-c": "3" }, { "x-a": "1", "x-c": "3" }],
  ["empty members", ", x-a, ,", { "x-a": "1" }, { "x-a": "1" }],
  ["a name twice", "x-a, X-A", { "x-a": "1" }, { "x-a": "1" }],
  ["an empty field", "", { "x-a": "1" }, { "x-a": "2" }],
  ["other blanks after commas", "x-a", { "x-a": "1,2" }, { "x-a": "1, 2" }],
  ["other blanks before commas", "x-a", { "x-a": "1 ,  2" }, { "x-a": "1,2" }],
  ["languages in another order", "accept-language", { "accept-language": "en, de" }, { "accept-language": "de, en" }],
  ["languages in another case", "accept-language", { "accept-language": "en, de" }, { "accept-language": "EN, De" }],
  ["languages with other blanks", "Accept-Language", { "accept-language": "en,de;q=0.5" }, { "accept-language": "en , de; q=0.5" }],
  ["types in another order", "accept", { accept: "text/html, text/plain" }, { accept: "text/plain, text/html" }],
  ["a weight of 1", "accept-language", { "accept-language": "en, de;q=1.0" }, { "accept-language": "en, de" }],
]; // prettier-ignore

const DIFFERS: readonly Case[] = [
  ["another value", "x-a", { "x-a": "1" }, { "x-a": "2" }],
  ["another case of the value", "x-a", { "x-a": "a" }, { "x-a": "A" }],
  ["the field in the first alone", "x-a", { "x-a": "1" }, {}],
  ["the field in the second alone", "x-a", {}, { "x-a": "1" }],
  ["an empty field and none", "x-a", {}, { "x-a": "" }],
  ["the second of two names", "x-a, x-b", { "x-a": "1", "x-b": "1" }, { "x-a": "1", "x-b": "2" }],
  ["the third of three names", "x-a, x-b, x-c", { "x-a": "1", "x-b": "1", "x-c": "1" }, { "x-a": "1", "x-b": "1", "x-c": "2" }],
  ["a name on a second line", ["x-a", "x-b"], { "x-a": "1", "x-b": "1" }, { "x-a": "1", "x-b": "2" }],
  ["the second of two names, missing", "x-a, x-b", { "x-a": "1", "x-b": "1" }, { "x-a": "1" }],
  ["another order of an unknown list", "x-a", { "x-a": "1, 2" }, { "x-a": "2, 1" }],
  ["a longer list", "x-a", { "x-a": "1" }, { "x-a": "1, 2" }],
  ["other languages", "accept-language", { "accept-language": "en" }, { "accept-language": "de" }],
  ["other weights", "accept-language", { "accept-language": "en, de;q=0.5" }, { "accept-language": "en, de;q=0.6" }],
  ["a star", "*", {}, {}],
  ["a star after a name", "x-a, *", { "x-a": "1" }, { "x-a": "1" }],
  ["a star before a name", "*, x-a", { "x-a": "1" }, { "x-a": "1" }],
  ["a star on a second line", ["x-a", "*"], { "x-a": "1" }, { "x-a": "1" }],
  ["a star among empty members", ", *", {}, {}],
  ["a name that is none", "x a", {}, {}],
]; // prettier-ignore

const cases = (all: readonly Case[], expect: "stored" | "asked"): readonly Row[] =>
  all.map(([title, vary, first, second]) =>
    row(
      "9111 §4.1",
      `${expect === "stored" ? "reuses" : "does not reuse"} by Vary with ${title}`,
      [fresh({ vary })],
      [{ fields: first }, { fields: second, expect }],
    ),
  );

const a = (value: string, more: Turn): Turn => ({ fields: { "x-a": value }, ...more });

export const VARY: readonly Row[] = [
  ...cases(MATCHES, "stored"),
  ...cases(DIFFERS, "asked"),
  row(
    "9111 §4.1",
    "keeps several variants",
    [fresh({ vary: "x-a" })],
    [
      a("1", { text: "reply 1" }),
      a("2", { text: "reply 2" }),
      a("3", { text: "reply 3" }),
      a("1", { text: "reply 1", expect: "stored" }),
      a("2", { text: "reply 2", expect: "stored" }),
      a("3", { text: "reply 3", expect: "stored" }),
    ],
  ),
  row(
    "9111 §4.1",
    "keeps what does not vary for those whose answers do not",
    [fresh({ vary: "x-a" }), fresh()],
    [
      a("1", { text: "reply 1" }),
      a("2", { text: "reply 2" }),
      a("1", { text: "reply 1", expect: "stored" }),
      a("2", { text: "reply 2", expect: "stored" }),
    ],
  ),
  row(
    "9111 §4.1",
    "goes by the names of a newer answer",
    [fresh({ vary: "x-a" }), fresh({ vary: "x-b" })],
    [
      { fields: { "x-a": "1", "x-b": "1" } },
      { fields: { "x-a": "2", "x-b": "1" }, expect: "asked" },
      { fields: { "x-a": "2", "x-b": "1" } },
      { fields: { "x-a": "2", "x-b": "1" }, expect: "stored" },
      { fields: { "x-a": "2", "x-b": "2" }, expect: "asked" },
    ],
  ),
  row(
    "9111 §4.1",
    "goes by names that came with a star later",
    [fresh({ vary: "x-a" }), fresh({ vary: "*" })],
    [
      a("1", {}),
      a("2", { expect: "asked" }),
      a("2", { expect: "asked" }),
      a("1", { expect: "stored", text: "reply 1" }),
    ],
  ),
  row(
    "9111 §4.1",
    "tells credentials apart by Vary: Cookie",
    [fresh({ vary: "cookie" })],
    [
      { fields: { cookie: "a=1" } },
      { fields: { cookie: "a=2" }, expect: "asked" },
      { fields: { cookie: "a=1" }, expect: "stored" },
    ],
  ),
  row(
    "9110 §12.5.5",
    "gives Vary to clients as it came",
    [fresh({ vary: "X-A, x-b" })],
    [{ got: { vary: "X-A, x-b" } }, { expect: "stored", got: { vary: "X-A, x-b" } }],
  ),
  row(
    "9111 §4.1",
    "joins lines of a field that answers vary on",
    [fresh({ vary: "x-a" })],
    [{ fields: { "x-a": ["1", "2"] } }, { fields: { "x-a": "1, 2" }, expect: "stored" }],
    GATEWAY,
  ),
  row(
    "9111 §4.1",
    "does not say by a variant's validators what is in another",
    [fresh({ vary: "x-a", etag: 'W/"a"' }), fresh({ vary: "x-a", etag: 'W/"b"' })],
    [a("1", {}), a("2", { expect: "asked", text: "reply 2", sent: { "if-none-match": undefined } })],
  ),
  row(
    "9111 §4.3.1",
    "asks by the tags of other variants, and takes the one that is chosen",
    [
      fresh(
        { vary: "x-a", etag: '"a"' },
        { unchanged: { etag: '"a"', vary: "x-a", "cache-control": "max-age=86400" } },
      ),
    ],
    [
      a("1", { text: "reply 1" }),
      a("2", { status: 200, text: "reply 1", sent: { "if-none-match": '"a"' } }),
      a("2", { text: "reply 1", expect: "stored" }),
      a("1", { text: "reply 1", expect: "stored" }),
    ],
    ["gateway", "shared"],
  ),
  row(
    "9111 §4.1",
    "varies on Accept-Encoding no less than on others",
    [fresh({ vary: "accept-encoding" })],
    [
      { fields: { "accept-encoding": "gzip" } },
      { fields: { "accept-encoding": "br" }, expect: "asked" },
      { fields: { "accept-encoding": "GZIP" }, expect: "stored" },
    ],
  ),
  row(
    "9111 §4.1",
    "heeds Last-Modified of the variant alone",
    [fresh({ vary: "x-a", "last-modified": date(-86_400) })],
    [a("1", {}), a("2", { expect: "asked", sent: { "if-modified-since": undefined } })],
  ),
];

import type { Row } from "../scripted-http.js";
import { date, notReused, PRIVATE, reused, row, SHARED } from "./row.js";

/** CDN-Cache-Control beside a Cache-Control that says the opposite: reused by it. */
const OBEYED = [
  "max-age=3600", " max-age=3600 ", "max-age=3600, foo", "foo, max-age=3600", "max-age=3600;a=b", "max-age=3600;a;b=1.5", "max-age=0, max-age=3600", "foo=(a b), max-age=3600",
  'foo="a, b", max-age=3600', "foo=1.5, max-age=3600", "foo=:YQ==:, max-age=3600", "foo=?0, max-age=3600", "s-maxage=3600",
  "max-age=0, s-maxage=3600", "public, max-age=3600", "max-age=3600, must-revalidate", "max-age=999999999999999",
  "no-store=?0, max-age=3600", "max-age=3600,\tfoo",
]; // prettier-ignore

/** The same, not reused by it. */
const FORBIDDING = [
  "no-store", "no-cache", "private", "max-age=0", "s-maxage=0, max-age=3600", "max-age=3600, no-store", "max-age=3600, private",
  "max-age=3600, no-cache", "no-store;a=b", "max-age=3600, max-age=0",
]; // prettier-ignore

/** No dictionaries: Cache-Control counts. */
const MALFORMED = [
  "max-age=0,", "max-age=0, ,foo", ",max-age=0", "MAX-AGE=0", "max-age=", "max-age =0", "max-age= 0", "max-age='0'", "no-store, &",
  'no-store, foo="a', "no-store foo", "no-store; A=b", "no-store=1.2345", "max-age=9999999999999999", "no-store, foo=(a", "", "no-store\u00e9",
]; // prettier-ignore

export const TARGETED: readonly Row[] = [
  ...OBEYED.map((value) =>
    reused(
      "9213 §2.2",
      `by CDN-Cache-Control: ${value}`,
      { "cache-control": "no-store", "cdn-cache-control": value },
      SHARED,
    ),
  ),
  ...FORBIDDING.map((value) =>
    notReused(
      "9213 §2.2",
      `by CDN-Cache-Control: ${value}`,
      {
        "cache-control": "max-age=3600",
        "cdn-cache-control": value,
      },
      SHARED,
    ),
  ),
  ...MALFORMED.map((value) =>
    reused(
      "9213 §2.1",
      `by Cache-Control beside the malformed CDN-Cache-Control: ${value}`,
      {
        "cache-control": "max-age=3600",
        "cdn-cache-control": value,
      },
      SHARED,
    ),
  ),
  ...MALFORMED.map((value) =>
    notReused(
      "9213 §2.1",
      `what is no-store beside the malformed CDN-Cache-Control: ${value}`,
      {
        "cache-control": "no-store",
        "cdn-cache-control": value.replace("max-age=0", "max-age=10").replace("no-store", "max-age=10"),
      },
      SHARED,
    ),
  ),
  ...['max-age="3600"', "max-age=3600.0", "max-age=?1", "max-age=abc", "max-age=-1", "max-age=(3600)", "max-age"].map(
    (value) =>
      notReused(
        "9213 §2.1",
        `by a CDN-Cache-Control of another type: ${value}`,
        {
          "cache-control": "no-store",
          "cdn-cache-control": value,
        },
        SHARED,
      ),
  ),
  reused(
    "9213 §2.2",
    "by CDN-Cache-Control over Expires",
    {
      expires: date(-3_600),
      "cdn-cache-control": "max-age=3600",
    },
    SHARED,
  ),
  notReused(
    "9213 §2.2",
    "Expires beside a CDN-Cache-Control without freshness",
    {
      expires: date(3_600),
      "cdn-cache-control": "foo",
    },
    SHARED,
  ),
  reused(
    "9213 §2.2",
    "by CDN-Cache-Control on two lines",
    {
      "cache-control": "no-store",
      "cdn-cache-control": ["foo", "max-age=3600"],
    },
    SHARED,
  ),
  notReused(
    "9213 §2",
    "by CDN-Cache-Control in a private cache",
    {
      "cache-control": "no-store",
      "cdn-cache-control": "max-age=3600",
    },
    PRIVATE,
  ),
  reused(
    "9213 §2",
    "by Cache-Control beside CDN-Cache-Control in a private cache",
    {
      "cache-control": "max-age=3600",
      "cdn-cache-control": "no-store",
    },
    PRIVATE,
  ),
  notReused("9213 §4", "by a targeted field of others", {
    "cache-control": "no-store",
    "other-cache-control": "max-age=3600",
  }),
  row(
    "9213 §2.2",
    "forwards CDN-Cache-Control unchanged",
    [{ fields: { "cache-control": "max-age=10", "cdn-cache-control": "max-age=3600 ,  foo" } }],
    [
      { got: { "cdn-cache-control": "max-age=3600 ,  foo", "cache-control": "max-age=10" } },
      { expect: "stored", got: { "cdn-cache-control": "max-age=3600 ,  foo", "cache-control": "max-age=10" } },
    ],
  ),
  notReused("9213 §2", "by Surrogate-Control, which is no targeted field", {
    "cache-control": "no-store",
    "surrogate-control": "max-age=3600",
  }),
];

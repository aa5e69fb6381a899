import type { Row, Turn } from "../scripted-http.js";
import { date, fresh, row, stale } from "./row.js";

const asking = (value: string | readonly string[]): Turn => ({ fields: { "cache-control": value } });

const AGED = { "cache-control": "max-age=3600", age: "1000" };
/** With an answer that is 1000 s old and has 2600 s left. */
const ON_FRESH: readonly (readonly [value: string, expect: "stored" | "asked"])[] = [
  ["max-age=0", "asked"],
  ["max-age=999", "asked"],
  ["max-age=1100", "stored"],
  ["MAX-AGE=0", "asked"],
  ['max-age="0"', "asked"],
  ["max-age=99999999999", "stored"],
  ["min-fresh=2500", "stored"],
  ["min-fresh=2700", "asked"],
  ["MIN-FRESH=2700", "asked"],
  ["min-fresh=99999999999", "asked"],
  ["min-fresh=0", "stored"],
  ["max-stale", "stored"],
  ["max-stale=0", "stored"],
  ["no-cache", "asked"],
  ["NO-CACHE", "asked"],
  ["max-age=3600, no-cache", "asked"],
  ["only-if-cached", "stored"],
  ["max-age=1100, min-fresh=2500", "stored"],
  ["max-age=1100, min-fresh=2700", "asked"],
  ["no-transform", "stored"],
  ["foo", "stored"],
  ["foo=bar, baz", "stored"],
  ["nothing-to-see-here", "stored"],
  ["stale-if-error=100", "stored"],
  ["s-maxage=0", "stored"],
  ["public", "stored"],
  ["private", "stored"],
  ["must-revalidate", "stored"],
];

/** With an answer that is 90 s past its freshness. */
const ON_STALE: readonly (readonly [value: string, own: string, expect: "stored" | "asked"])[] = [
  ["max-stale", "", "stored"],
  ["MAX-STALE", "", "stored"],
  ["max-stale=1000", "", "stored"],
  ['max-stale="1000"', "", "stored"],
  ["max-stale=50", "", "asked"],
  ["max-stale=0", "", "asked"],
  ["max-stale=1000, max-age=50", "", "asked"],
  ["max-stale=1000, max-age=200", "", "stored"],
  ["max-stale", ", must-revalidate", "asked"],
  ["max-stale=1000", ", must-revalidate", "asked"],
  ["max-stale=1000", ", no-cache", "asked"],
  ["max-stale=1000, no-cache", "", "asked"],
  ["max-age=3600", "", "asked"],
];

export const REQUESTS: readonly Row[] = [
  ...ON_FRESH.map(([value, expect]) =>
    row(
      "9111 §5.2.1",
      `goes by a request's ${value} with what is fresh`,
      [{ fields: AGED }],
      [{}, { ...asking(value), expect }],
    ),
  ),
  ...ON_STALE.map(([value, own, expect]) =>
    row(
      "9111 §5.2.1",
      `goes by a request's ${value} with what is stale${own}`,
      [stale({ "cache-control": `max-age=10${own}` })],
      [{}, { ...asking(value), expect }],
    ),
  ),
  row(
    "9111 §5.2.1.2",
    "does not heed max-stale beside proxy-revalidate when shared",
    [stale({ "cache-control": "max-age=10, proxy-revalidate" })],
    [{}, { ...asking("max-stale"), expect: "asked" }],
    ["gateway", "shared"],
  ),
  row(
    "9111 §5.2.1.2",
    "does not heed max-stale beside s-maxage when shared",
    [stale({ "cache-control": "s-maxage=10" })],
    [{}, { ...asking("max-stale"), expect: "asked" }],
    ["gateway", "shared"],
  ),
  row(
    "9111 §5.2.1.4",
    "validates what is fresh for no-cache",
    [fresh({ etag: '"a"' }, { unchanged: { etag: '"a"' } })],
    [{}, { ...asking("no-cache"), expect: "validated", status: 200, text: "reply 1" }],
  ),
  row(
    "9111 §5.2.1.1",
    "validates what is fresh for max-age=0",
    [fresh({ etag: '"a"' }, { unchanged: { etag: '"a"' } })],
    [{}, { ...asking("max-age=0"), expect: "validated", status: 200, text: "reply 1" }],
  ),
  row(
    "9111 §5.2.1.4",
    "keeps what comes for no-cache",
    [fresh()],
    [{}, { ...asking("no-cache"), text: "reply 2" }, { expect: "stored", text: "reply 2" }],
  ),
  row(
    "9111 §5.2.1.5",
    "stores nothing of a request with no-store",
    [fresh()],
    [asking("no-store"), { expect: "asked", text: "reply 2" }],
  ),
  row(
    "9111 §5.2.1.5",
    "stores nothing of a request with NO-STORE among others",
    [fresh()],
    [asking("max-age=100, No-Store"), { expect: "asked", text: "reply 2" }],
  ),
  row(
    "9111 §5.2.1.7",
    "answers only-if-cached with 504 when nothing is stored",
    [fresh()],
    [{ ...asking("only-if-cached"), status: 504, expect: "stored" }],
  ),
  row(
    "9111 §5.2.1.7",
    "answers only-if-cached with 504 when what is stored is stale",
    [stale()],
    [{}, { ...asking("only-if-cached"), status: 504, expect: "stored" }],
  ),
  row(
    "9111 §5.2.1.7",
    "answers only-if-cached with what is stale by max-stale",
    [stale()],
    [{}, { ...asking("only-if-cached, max-stale"), status: 200, expect: "stored" }],
  ),
  row(
    "9111 §5.4",
    "validates for Pragma: no-cache",
    [fresh()],
    [{}, { fields: { pragma: "no-cache" }, expect: "asked" }],
  ),
  row(
    "9111 §5.4",
    "validates for Pragma: No-Cache among others",
    [fresh()],
    [{}, { fields: { pragma: "foo, No-Cache" }, expect: "asked" }],
  ),
  row(
    "9111 §5.4",
    "does not heed Pragma beside Cache-Control",
    [fresh()],
    [{}, { fields: { pragma: "no-cache", "cache-control": "max-stale" }, expect: "stored" }],
  ),
  row("9111 §5.4", "does not heed an unknown Pragma", [fresh()], [{}, { fields: { pragma: "foo" }, expect: "stored" }]),
  row(
    "9111 §4",
    "does not heed a request's unknown fields",
    [fresh()],
    [{ fields: { "x-a": "1" } }, { fields: { "x-a": "2", "user-agent": "b", accept: "text/plain" }, expect: "stored" }],
  ),
  row(
    "9111 §4",
    "does not heed Expires, Age and Date of a request",
    [fresh()],
    [{}, { fields: { expires: "0", age: "1000000", date: date(-1_000_000) }, expect: "stored" }],
  ),
  row(
    "9111 §5.2.1",
    "heeds directives on several lines of a request",
    [fresh()],
    [{}, { ...asking(["foo", "no-cache"]), expect: "asked" }],
    ["gateway"],
  ),
];

import type { Lines, Row } from "../scripted-http.js";
import { date, fresh, row, SHARED, stale } from "./row.js";

const OLD = date(-864_000);
const OLDER = date(-1_728_000);
const NEWER = date(-432_000);
const HOUR = "max-age=3600";

/** A field of a 304 takes the place of the stored one. */
const updated = (name: string, before: string, after: string): Row =>
  row(
    "9111 §3.2",
    `takes ${name} of a 304 over`,
    [stale({ [name]: before }, { unchanged: { etag: '"a"', "cache-control": HOUR, [name]: after } })],
    [
      { got: { [name]: before } },
      { expect: "validated", status: 200, text: "reply 1", got: { [name]: after } },
      { expect: "stored", status: 200, text: "reply 1", got: { [name]: after } },
    ],
  );

const untouched = (name: string, before: string | undefined, after: string, wanted = before): Row =>
  row(
    "9111 §3.2",
    `does not take ${name} of a 304 over${before === undefined ? " where there was none" : ""}`,
    [
      stale(before === undefined ? {} : { [name]: before }, {
        unchanged: { etag: '"a"', "cache-control": HOUR, [name]: after },
      }),
    ],
    [
      {},
      { expect: "validated", status: 200, text: "reply 1", got: { [name]: wanted } },
      { expect: "stored", status: 200, text: "reply 1", got: { [name]: wanted } },
    ],
  );

/** What a client that says it has something gets from what is stored and fresh. */
const condition = (title: string, own: Lines, fields: Lines, status: 200 | 304): Row =>
  row(
    fields["if-none-match"] === undefined ? "9110 §13.1.3" : "9110 §13.1.2",
    `answers ${title} with ${status}`,
    [fresh(own)],
    [
      { status: 200 },
      { fields, expect: "stored", status, text: status === 304 ? "" : "reply 1", got: { etag: own["etag"] as string | undefined } },
    ],
  ); // prettier-ignore

const TAG = { etag: '"a"' };
const WEAK = { etag: 'W/"a"' };
const BOTH = { etag: '"a"', "last-modified": OLD };
const DATED = { "last-modified": OLD };
const wanted = (value: string): Lines => ({ "if-none-match": value });
const since = (value: string): Lines => ({ "if-modified-since": value });

const ASCTIME = ((): string => {
  const [, week = "", day = "", month = "", year = "", time = ""] =
    /^(\w+), (\d\d) (\w+) (\d+) (\S+)/.exec(NEWER) ?? [];
  return `${week} ${month} ${day.replace(/^0/, " ")} ${time} ${year}`;
})();

export const VALIDATION: readonly Row[] = [
  row(
    "9111 §4.3.1",
    "validates by ETag what is stale",
    [stale({}, { unchanged: TAG })],
    [{}, { expect: "validated", status: 200, text: "reply 1", sent: { "if-none-match": '"a"' } }],
  ),
  row(
    "9111 §4.3.1",
    "validates by a weak ETag",
    [stale(WEAK, { unchanged: WEAK })],
    [{}, { expect: "validated", status: 200, text: "reply 1", sent: { "if-none-match": 'W/"a"' } }],
  ),
  row(
    "9111 §4.3.1",
    "validates by Last-Modified",
    [stale({ etag: undefined, ...DATED }, { unchanged: {} })],
    [
      {},
      {
        expect: "validated",
        status: 200,
        text: "reply 1",
        sent: { "if-modified-since": OLD, "if-none-match": undefined },
      },
    ],
  ),
  row(
    "9111 §4.3.1",
    "validates by both",
    [stale(DATED, { unchanged: TAG })],
    [
      {},
      { expect: "validated", status: 200, text: "reply 1", sent: { "if-none-match": '"a"', "if-modified-since": OLD } },
    ],
  ),
  row(
    "9111 §4.3.1",
    "validates what was never fresh",
    [{ fields: TAG, unchanged: TAG }],
    [{}, { expect: "validated", status: 200, text: "reply 1" }, { expect: "validated", status: 200, text: "reply 1" }],
  ),
  row(
    "9111 §4.3.1",
    "validates what expired",
    [{ fields: { ...TAG, expires: OLD }, unchanged: TAG }],
    [{}, { expect: "validated", status: 200, text: "reply 1" }],
  ),
  row(
    "9111 §4.3.1",
    "validates by a tag without quotes as it came",
    [stale({ etag: "abc" }, { unchanged: { etag: "abc" } })],
    [{}, { expect: "validated", status: 200, text: "reply 1", sent: { "if-none-match": "abc" } }],
  ),
  row(
    "9111 §4.3.1",
    "validates by a tag with a comma and blanks",
    [stale({ etag: '"a,b"' }, { unchanged: { etag: '"a,b"' } })],
    [{}, { expect: "validated", status: 200, text: "reply 1", sent: { "if-none-match": '"a,b"' } }],
  ),
  row(
    "9111 §4.3.3",
    "answers with what is new, and keeps that",
    [stale(), fresh({ etag: '"b"' })],
    [
      { text: "reply 1" },
      { expect: "validated", text: "reply 2", got: { etag: '"b"' } },
      { expect: "stored", text: "reply 2" },
    ],
  ),
  row(
    "9111 §4.3.4",
    "is fresh again by a 304",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR } })],
    [
      {},
      { expect: "validated", text: "reply 1" },
      { expect: "stored", text: "reply 1", got: { "cache-control": HOUR } },
    ],
  ),
  row(
    "9111 §4.3.4",
    "is fresh again by a 304 with Expires alone",
    [{ fields: { ...TAG, expires: OLD }, unchanged: { ...TAG, expires: date(3_600) } }],
    [{}, { expect: "validated" }, { expect: "stored", text: "reply 1" }],
  ),
  row(
    "9111 §4.3.4",
    "is fresh again by a 304 that names no validator",
    [stale({}, { unchanged: { "cache-control": HOUR } })],
    [{}, { expect: "validated", text: "reply 1", status: 200 }, { expect: "stored", text: "reply 1", got: TAG }],
  ),
  row(
    "9111 §4.3.4",
    "is fresh again by a 304 without Date",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR, date: undefined } })],
    [{}, { expect: "validated", text: "reply 1", status: 200 }, { expect: "stored", text: "reply 1" }],
  ),
  row(
    "9111 §4.3.4",
    "is not as old as before by a 304 without Age",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR } })],
    [{}, { expect: "validated", got: { age: /^\d{1,2}$/ } }],
  ),
  row(
    "9111 §4.3.4",
    "asks once more, without a condition, when a 304 names another tag",
    [stale(), { status: 304, fields: { etag: '"b"' } }, fresh({ etag: '"b"' })],
    [
      {},
      { status: 200, text: "reply 3", count: 3, sent: { "if-none-match": undefined } },
      { expect: "stored", text: "reply 3" },
    ],
  ),
  row(
    "9111 §4.3.4",
    "takes a 304 with the weak form of its tag",
    [stale({}, { unchanged: WEAK })],
    [{}, { expect: "validated", status: 200, text: "reply 1" }],
  ),
  row(
    "9111 §4.3.4",
    "gives a client its own 304 when what is stored was confirmed",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR } })],
    [{}, { fields: wanted('"a"'), status: 304 }, { expect: "stored", text: "reply 1", status: 200 }],
  ),
  row(
    "9111 §4.3.2",
    "validates by what is stored, and judges a client's other tag itself",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR } })],
    [{}, { fields: wanted('"z"'), status: 200, text: "reply 1", expect: "validated" }],
  ),
  row(
    "9111 §4.3.3",
    "gives a 500 to whoever validates, and keeps what is stored",
    [stale(), { status: 500 }, { status: 304, fields: TAG }],
    [{}, { expect: "validated", status: 500 }, { expect: "validated", status: 200, text: "reply 1" }],
  ),
  row(
    "9111 §4.3.3",
    "gives a 404 in the place of what is stale",
    [stale(), fresh({}, { status: 404 })],
    [{}, { expect: "validated", status: 404, text: "reply 2" }, { expect: "stored", status: 404, text: "reply 2" }],
  ),

  updated("cache-control", "max-age=10", "max-age=3700"),
  ...[
    "x-a",
    "content-type",
    "content-language",
    "content-location",
    "content-disposition",
    "link",
    "x-frame-options",
  ].map((name) =>
    updated(name, name === "content-type" ? "text/plain" : "a", name === "content-type" ? "text/html" : "b"),
  ),
  updated("content-security-policy", "default-src 'self'", "default-src 'none'"),
  updated("last-modified", OLD, OLD),
  updated("date", date(-5), date(-3)),
  updated("expires", OLD, date(3_600)),
  untouched("content-length", "7", "100"),
  untouched("content-encoding", undefined, "gzip"),
  untouched("content-range", undefined, "bytes 0-1/2"),
  row(
    "9111 §3.2",
    "adds fields of a 304 that were not there",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR, "x-new": "1" } })],
    [{ got: { "x-new": undefined } }, { got: { "x-new": "1" } }, { expect: "stored", got: { "x-new": "1" } }],
  ),
  row(
    "9111 §3.2",
    "keeps fields that a 304 does not name",
    [stale({ "x-kept": "1" }, { unchanged: { ...TAG, "cache-control": HOUR } })],
    [{}, { expect: "validated", got: { "x-kept": "1" } }, { expect: "stored", got: { "x-kept": "1" } }],
  ),
  row(
    "9111 §3.1",
    "takes nothing over that a 304 names in Connection",
    [stale({ "x-hop": "1" }, { unchanged: { ...TAG, "cache-control": HOUR, connection: "x-hop", "x-hop": "2" } })],
    [{}, { expect: "validated", got: { "x-hop": "1" } }, { expect: "stored", got: { "x-hop": "1" } }],
  ),
  row(
    "9111 §3.2",
    "is not kept longer than a 304 says",
    [
      stale({}, { unchanged: { ...TAG, "cache-control": "no-store" } }),
      stale({}, { unchanged: { ...TAG, "cache-control": "no-store" } }),
    ],
    [{}, { expect: "validated", status: 200, text: "reply 1" }],
  ),

  condition("If-None-Match of its tag", TAG, wanted('"a"'), 304),
  condition("If-None-Match of another tag", TAG, wanted('"b"'), 200),
  condition("If-None-Match of its tag in another case", TAG, wanted('"A"'), 200),
  condition("If-None-Match of a list with its tag", TAG, wanted('"b", "a"'), 304),
  condition("If-None-Match of a list without blanks", TAG, wanted('"b","a","c"'), 304),
  condition("If-None-Match of a list without its tag", TAG, wanted('"b", "c"'), 200),
  condition("If-None-Match of a list with empty members", TAG, wanted(', "a" ,'), 304),
  condition("If-None-Match of the weak form", TAG, wanted('W/"a"'), 304),
  condition("If-None-Match of the strong form of a weak tag", WEAK, wanted('"a"'), 304),
  condition("If-None-Match of its weak tag", WEAK, wanted('W/"a"'), 304),
  condition("If-None-Match of a weak tag in a list", WEAK, wanted('"b", W/"a"'), 304),
  condition("If-None-Match with a star", TAG, wanted("*"), 304),
  condition("If-None-Match with a star where there is no tag", {}, wanted("*"), 304),
  condition("If-None-Match where there is no tag", DATED, wanted('"a"'), 200),
  condition("If-None-Match without quotes", TAG, wanted("a"), 200),
  condition("If-None-Match in single quotes", TAG, wanted("'a'"), 200),
  condition("If-None-Match with w/ in lower case", WEAK, wanted('w/"a"'), 200),
  condition("If-None-Match of a tag with a comma", { etag: '"a,b"' }, wanted('"a,b"'), 304),
  condition("If-None-Match of parts of a tag with a comma", { etag: '"a,b"' }, wanted('"a", "b"'), 200),
  condition("If-None-Match of an empty tag", { etag: '""' }, wanted('""'), 304),
  condition("If-Modified-Since of the same date", DATED, since(OLD), 304),
  condition("If-Modified-Since of a later date", DATED, since(NEWER), 304),
  condition("If-Modified-Since of an earlier date", DATED, since(OLDER), 200),
  condition("If-Modified-Since as asctime", DATED, since(ASCTIME), 304),
  condition("If-Modified-Since that is no date", DATED, since("yesterday"), 200),
  condition("If-Modified-Since: 0", DATED, since("0"), 200),
  condition("If-Modified-Since without Last-Modified, by Date", { date: date(-600) }, since(date(-300)), 304),
  condition("If-Modified-Since without Last-Modified, before Date", { date: date(-600) }, since(date(-900)), 200),
  condition("both, where only the tag matches", BOTH, { ...wanted('"a"'), ...since(OLDER) }, 304),
  condition("both, where only the date does", BOTH, { ...wanted('"b"'), ...since(NEWER) }, 200),
  condition("both, where both do", BOTH, { ...wanted('"a"'), ...since(OLD) }, 304),
  row(
    "9110 §13.1.2",
    "answers a HEAD with If-None-Match from the store",
    [fresh(TAG)],
    [{}, { method: "HEAD", fields: wanted('"a"'), status: 304, expect: "stored" }],
  ),
  row(
    "9110 §13.2.1",
    "does not judge conditions of what is stored as 404",
    [fresh(TAG, { status: 404 })],
    [{ status: 404 }, { fields: wanted('"a"'), status: 404, expect: "stored" }],
  ),
  row("9110 §15.4.5", "gives a 304 what a 200 would have had of these fields", [
    fresh({ ...BOTH, "content-location": "/x", vary: "x-a", expires: date(3_600), "content-type": "text/css" }),
  ], [
    {},
    {
      fields: wanted('"a"'),
      status: 304,
      expect: "stored",
      got: { etag: '"a"', "cache-control": "max-age=86400", "content-location": "/x", vary: "x-a", date: /GMT$/, expires: /GMT$/, age: /^\d+$/ },
    },
  ]), // prettier-ignore

  row(
    "9111 §4.3.2",
    "sends a client's conditions on where nothing is stored, and gives it its 304",
    [fresh(BOTH, { unchanged: { ...TAG, "cache-control": HOUR } })],
    [
      { fields: wanted('"a"'), status: 304, sent: { "if-none-match": '"a"' } },
      { status: 200, expect: "asked", text: "reply 2" },
      { status: 200, expect: "stored", text: "reply 2" },
    ],
  ),
  row(
    "9111 §4.3.2",
    "sends If-Modified-Since on where nothing is stored",
    [fresh(DATED, { unchanged: {} })],
    [
      { fields: since(OLD), status: 304, sent: { "if-modified-since": OLD } },
      { status: 200, expect: "asked", text: "reply 2" },
    ],
  ),
  row(
    "9111 §4.3.2",
    "stores what comes to a client's condition that does not hold",
    [fresh(TAG)],
    [
      { fields: wanted('"z"'), status: 200, text: "reply 1" },
      { status: 200, expect: "stored", text: "reply 1" },
    ],
  ),
  ...["if-match", "if-unmodified-since"].map((name) =>
    row(
      "9111 §4.3.2",
      `sends ${name} to the origin`,
      [fresh(TAG), { status: 412 }],
      [
        {},
        { fields: { [name]: name === "if-match" ? '"z"' : OLDER }, status: 412, expect: "asked" },
        { expect: "stored", status: 200, text: "reply 1" },
      ],
    ),
  ),

  row(
    "9111 §4",
    "answers HEAD from a stored GET",
    [fresh({ "x-a": "1" })],
    [{}, { method: "HEAD", expect: "stored", status: 200, text: "", got: { "x-a": "1", "content-length": "7" } }],
  ),
  row(
    "9111 §4",
    "does not answer GET from a HEAD",
    [fresh()],
    [
      { method: "HEAD", status: 200, text: "" },
      { expect: "asked", text: "reply 2" },
    ],
  ),
  row(
    "9111 §4.3.5",
    "takes fields of an answer to HEAD over",
    [stale({ "x-a": "1", "content-length": "7" }), fresh({ ...TAG, "x-a": "2", "content-length": "7" })],
    [
      {},
      { method: "HEAD", expect: "asked", got: { "x-a": "2" } },
      { expect: "stored", text: "reply 1", got: { "x-a": "2" } },
    ],
  ),
  ...(
    [
      ["tag", { etag: '"b"', "content-length": "7" }],
      ["length", { ...TAG, "content-length": "8" }],
      ["date", { ...TAG, "content-length": "7", "last-modified": NEWER }],
    ] as const
  ).map(([what, fields]) =>
    row(
      "9111 §4.3.5",
      `does not reuse what HEAD shows to have another ${what}`,
      [stale({ ...BOTH, "content-length": "7" }), fresh(fields), fresh()],
      [{}, { method: "HEAD", expect: "asked" }, { expect: "asked" }],
    ),
  ),
  row(
    "9111 §4.3.5",
    "goes to the origin with HEAD for no-cache, and heeds another tag",
    [fresh(TAG), fresh({ etag: '"b"' })],
    [
      {},
      { method: "HEAD", fields: { "cache-control": "no-cache" }, expect: "asked" },
      { expect: "asked", text: "reply 3" },
    ],
  ),
  row(
    "9111 §4.3.5",
    "keeps what is stored when HEAD fails",
    [fresh(TAG), { status: 500 }],
    [
      {},
      { method: "HEAD", fields: { "cache-control": "no-cache" }, expect: "asked", status: 500 },
      { expect: "stored", text: "reply 1" },
    ],
  ),
  row(
    "9111 §4.3.1",
    "validates with the tag of a variant that is stale",
    [stale({ vary: "x-a" }, { unchanged: { ...TAG, "cache-control": HOUR } })],
    [
      { fields: { "x-a": "1" } },
      { fields: { "x-a": "1" }, expect: "validated", text: "reply 1" },
      { fields: { "x-a": "1" }, expect: "stored", text: "reply 1" },
    ],
    SHARED,
  ),

  row(
    "9111 §4.3.4",
    "tells requests apart by the Vary of a 304",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR, vary: "x-a" } })],
    [
      { fields: { "x-a": "1" } },
      { fields: { "x-a": "1" }, expect: "validated", text: "reply 1", got: { vary: "x-a" } },
      { fields: { "x-a": "2" }, expect: "asked" },
    ],
  ),
  row(
    "9111 §4.3.2",
    "gives what is new where a client's tag is that of what was stored",
    [stale(), fresh({ etag: '"b"' })],
    [{}, { fields: wanted('"a"'), status: 200, text: "reply 2" }, { expect: "stored", text: "reply 2" }],
  ),
  row(
    "9111 §4.3.2",
    "gives 304 where what is new is what the client has",
    [stale(), fresh({ etag: '"b"' })],
    [{}, { fields: wanted('"b"'), status: 304 }, { expect: "stored", status: 200, text: "reply 2" }],
  ),
  row(
    "9111 §4.3.4",
    "answers HEAD after a 304 with what it brought",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR, "x-a": "2" } })],
    [{}, { expect: "validated" }, { method: "HEAD", expect: "stored", status: 200, got: { "x-a": "2" } }],
  ),
  row(
    "9111 §4.3.1",
    "sends no Range with a condition of its own",
    [stale({}, { unchanged: { ...TAG, "cache-control": HOUR } })],
    [{}, { fields: { range: "bytes=0-1" }, expect: "validated", status: 206, text: "re", sent: { range: undefined } }],
  ),
  row(
    "9111 §4.3.3",
    "gives a range of what is new",
    [stale(), fresh({ etag: '"b"' })],
    [{}, { fields: { range: "bytes=0-1" }, expect: "asked" }, { expect: "stored", text: "reply 2" }],
  ),
  row(
    "9111 §5.2.2.4",
    "asks about no-cache with each request, also after a 304",
    [{ fields: { ...TAG, "cache-control": "no-cache" }, unchanged: { ...TAG, "cache-control": "no-cache" } }],
    [{}, { expect: "validated" }, { expect: "validated" }, { expect: "validated", text: "reply 1", count: 4 }],
  ),
  row(
    "9111 §5.2.2.4",
    "reuses what a 304 says is no longer no-cache",
    [{ fields: { ...TAG, "cache-control": "no-cache" }, unchanged: { ...TAG, "cache-control": HOUR } }],
    [{}, { expect: "validated" }, { expect: "stored", text: "reply 1" }],
  ),
];

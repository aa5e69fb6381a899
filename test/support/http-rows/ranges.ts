import type { Lines, Row } from "../scripted-http.js";
import { date, fresh, GATEWAY, row, SHARED, stale } from "./row.js";

const OLD = date(-864_000);
const BODY = "0123456789";
const TAG = { etag: '"a"' };
const WHOLE = fresh(TAG, { body: BODY });

const part = (title: string, range: string, text: string, content: string, own: Lines = TAG, more: Lines = {}): Row =>
  row(
    "9110 §14.2",
    `gives ${title} of what is stored`,
    [fresh(own, { body: BODY })],
    [
      {},
      {
        fields: { range, ...more },
        expect: "stored",
        status: 206,
        text,
        got: { "content-range": content, "content-length": String(text.length) },
      },
      { expect: "stored", status: 200, text: BODY },
    ],
  );

const whole = (title: string, range: string, own: Lines = TAG, more: Lines = {}): Row =>
  row(
    "9110 §14.2",
    `gives all for ${title}`,
    [fresh(own, { body: BODY })],
    [
      {},
      { fields: { range, ...more }, expect: "stored", status: 200, text: BODY, got: { "content-range": undefined } },
    ],
  );

const unsatisfiable = (title: string, range: string): Row =>
  row(
    "9110 §15.5.17",
    `answers ${title} with 416`,
    [WHOLE],
    [{}, { fields: { range }, expect: "stored", status: 416, got: { "content-range": "bytes */10" } }],
  );

const piece = (first: number, last: number, own: Lines = TAG, length = 10): ReturnType<typeof fresh> => {
  const range = `bytes ${first}-${last}/${length}`;
  return fresh({ "content-range": range, ...own }, { status: 206, body: BODY.slice(first, last + 1) });
};

const bytes = (range: string): Lines => ({ range: `bytes=${range}` });

export const RANGES: readonly Row[] = [
  part("the beginning", "bytes=0-3", "0123", "bytes 0-3/10"),
  part("the first byte", "bytes=0-0", "0", "bytes 0-0/10"),
  part("the middle", "bytes=4-6", "456", "bytes 4-6/10"),
  part("the end", "bytes=7-9", "789", "bytes 7-9/10"),
  part("an open range", "bytes=7-", "789", "bytes 7-9/10"),
  part("a suffix", "bytes=-3", "789", "bytes 7-9/10"),
  part("a suffix as long as it is", "bytes=-10", BODY, "bytes 0-9/10"),
  part("a suffix that is longer", "bytes=-100", BODY, "bytes 0-9/10"),
  part("a range past the end", "bytes=8-100", "89", "bytes 8-9/10"),
  part("all of it as a range", "bytes=0-", BODY, "bytes 0-9/10"),
  part("a unit in capitals", "BYTES=0-3", "0123", "bytes 0-3/10"),
  part("one range of two, the other past the end", "bytes=0-1,50-60", "01", "bytes 0-1/10"),
  part("two ranges that touch", "bytes=0-1,2-3", "0123", "bytes 0-3/10"),
  part("a range of what has no tag", "bytes=0-3", "0123", "bytes 0-3/10", {}),
  part("a range by If-Range with its tag", "bytes=0-3", "0123", "bytes 0-3/10", TAG, { "if-range": '"a"' }),
  part(
    "a range by If-Range with its date",
    "bytes=0-3",
    "0123",
    "bytes 0-3/10",
    { "last-modified": OLD },
    { "if-range": OLD },
  ),
  whole("If-Range with another tag", "bytes=0-3", TAG, { "if-range": '"b"' }),
  whole("If-Range with a weak tag", "bytes=0-3", { etag: 'W/"a"' }, { "if-range": 'W/"a"' }),
  whole("If-Range with the weak form of its tag", "bytes=0-3", TAG, { "if-range": 'W/"a"' }),
  whole("If-Range with another date", "bytes=0-3", { "last-modified": OLD }, { "if-range": date(-8_000) }),
  whole("If-Range with a later date", "bytes=0-3", { "last-modified": OLD }, { "if-range": date(0) }),
  whole("If-Range that is neither", "bytes=0-3", TAG, { "if-range": "a" }),
  whole("another unit", "items=0-3"),
  whole("a range that ends before it begins", "bytes=5-3"),
  whole("a range without numbers", "bytes=-"),
  whole("letters", "bytes=a-b"),
  whole("nothing after =", "bytes="),
  whole("no =", "bytes 0-3"),
  whole("a negative number", "bytes=0--3"),
  unsatisfiable("a range past the end", "bytes=10-"),
  unsatisfiable("a range far past the end", "bytes=1000-2000"),
  unsatisfiable("a suffix of nothing", "bytes=-0"),
  row(
    "9110 §14.6",
    "gives several ranges as parts of one body",
    [WHOLE],
    [
      {},
      {
        fields: bytes("0-1,5-6"),
        expect: "stored",
        status: 206,
        got: { "content-type": /^multipart\/byteranges; boundary=/, "content-range": undefined },
      },
    ],
  ),
  row(
    "9110 §14.2",
    "heeds no Range with HEAD",
    [WHOLE],
    [{}, { method: "HEAD", fields: bytes("0-3"), expect: "stored", status: 200, got: { "content-range": undefined } }],
  ),
  row(
    "9110 §14.2",
    "heeds no Range of what is stored as 404",
    [fresh(TAG, { status: 404, body: BODY })],
    [{ status: 404 }, { fields: bytes("0-3"), expect: "stored", status: 404, text: BODY }],
  ),
  row(
    "9110 §13.2.2",
    "gives 304 before a range",
    [WHOLE],
    [{}, { fields: { ...bytes("0-3"), "if-none-match": '"a"' }, expect: "stored", status: 304 }],
  ),
  row(
    "9110 §14.2",
    "gives a range of what is stale once it is confirmed",
    [stale({}, { body: BODY, unchanged: { ...TAG, "cache-control": "max-age=3600" } })],
    [
      {},
      { fields: bytes("0-3"), status: 206, text: "0123", expect: "validated" },
      { fields: bytes("4-"), status: 206, text: "456789", expect: "stored" },
    ],
  ),
  row(
    "9111 §3.3",
    "sends Range on where nothing is stored",
    [piece(0, 3)],
    [{ fields: bytes("0-3"), status: 206, text: "0123", sent: { range: "bytes=0-3" } }],
  ),
  row(
    "9111 §3.3",
    "stores all of it where the origin gives it for a range",
    [WHOLE],
    [
      { fields: bytes("0-3") },
      { expect: "stored", status: 200, text: BODY },
      { fields: bytes("0-3"), expect: "stored", status: 206, text: "0123" },
    ],
  ),
  row(
    "9111 §3.3",
    "answers from a stored part what lies in it",
    [piece(2, 6)],
    [
      { fields: bytes("2-6"), status: 206, text: "23456" },
      { fields: bytes("2-6"), status: 206, text: "23456", expect: "stored" },
      { fields: bytes("3-4"), status: 206, text: "34", expect: "stored", got: { "content-range": "bytes 3-4/10" } },
      { fields: bytes("7-8"), expect: "asked" },
    ],
  ),
  row(
    "9111 §3.3",
    "answers a suffix from a stored end",
    [piece(5, 9)],
    [
      { fields: bytes("-5"), status: 206, text: "56789" },
      { fields: bytes("-2"), status: 206, text: "89", expect: "stored" },
      { fields: bytes("6-"), status: 206, text: "6789", expect: "stored" },
    ],
  ),
  row(
    "9111 §3.3",
    "does not answer for all of it from a part",
    [piece(2, 6), WHOLE],
    [
      { fields: bytes("2-6"), status: 206 },
      { status: 200, text: BODY, expect: "asked" },
    ],
  ),
  row(
    "9111 §3.3",
    "does not answer from a part without numbers",
    [fresh({ ...TAG, "content-range": "bytes 2-6/*" }, { status: 206, body: "23456" })],
    [
      { fields: bytes("2-6"), status: 206 },
      { fields: bytes("2-6"), expect: "asked" },
    ],
  ),
  row(
    "9111 §3.4",
    "combines parts of the same strong tag",
    [piece(0, 4), piece(5, 9), { status: 500 }],
    [
      { fields: bytes("0-4"), text: "01234" },
      { fields: bytes("5-9"), text: "56789", expect: "asked" },
      { status: 200, text: BODY, expect: "stored" },
    ],
  ),
  row(
    "9111 §3.4",
    "does not combine parts of other tags",
    [piece(0, 4), piece(5, 9, { etag: '"b"' }), WHOLE],
    [{ fields: bytes("0-4") }, { fields: bytes("5-9"), expect: "asked" }, { status: 200, text: BODY, expect: "asked" }],
  ),
  row(
    "9111 §3.4",
    "does not combine parts of weak tags",
    [piece(0, 4, { etag: 'W/"a"' }), piece(5, 9, { etag: 'W/"a"' }), WHOLE],
    [{ fields: bytes("0-4") }, { fields: bytes("5-9") }, { status: 200, text: BODY, expect: "asked" }],
  ),
  row(
    "9111 §3.4",
    "does not combine parts without tags",
    [piece(0, 4, {}), piece(5, 9, {}), WHOLE],
    [{ fields: bytes("0-4") }, { fields: bytes("5-9") }, { status: 200, text: BODY, expect: "asked" }],
  ),
  row(
    "9111 §3.4",
    "completes a part by what is missing of it",
    [piece(0, 4), piece(5, 9)],
    [
      { fields: bytes("0-4") },
      { status: 200, text: BODY, expect: "asked", sent: { range: "bytes=5-9", "if-range": '"a"' } },
      { status: 200, text: BODY, expect: "stored" },
    ],
  ),
  row(
    "9111 §3.4",
    "completes no part by one of another tag",
    [piece(0, 4), fresh({ etag: '"b"' }, { body: "abc" })],
    [
      { fields: bytes("0-4") },
      { status: 200, text: "abc", expect: "asked", got: { etag: '"b"' } },
      { status: 200, text: "abc", expect: "stored" },
    ],
  ),
  row(
    "9111 §3.3",
    "stores nothing of an answer of 416",
    [fresh({ "content-range": "bytes */10" }, { status: 416 }), WHOLE],
    [
      { fields: bytes("50-"), status: 416 },
      { status: 200, text: BODY, expect: "asked" },
    ],
    SHARED,
  ),
  row(
    "9110 §13.1.5",
    "sends If-Range on where nothing is stored",
    [piece(0, 3)],
    [{ fields: { ...bytes("0-3"), "if-range": '"a"' }, status: 206, sent: { "if-range": '"a"' } }],
  ),
  row(
    "9110 §14.3",
    "gives Accept-Ranges as it came",
    [fresh({ "accept-ranges": "bytes" }, { body: BODY })],
    [{ got: { "accept-ranges": "bytes" } }, { expect: "stored", got: { "accept-ranges": "bytes" } }],
    GATEWAY,
  ),
];

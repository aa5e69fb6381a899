import type { Row } from "../scripted-http.js";
import { date, fresh, GATEWAY, notReused, PRIVATE, reused, row, SHARED, stale } from "./row.js";

const OLD = date(-864_000);
const AHEAD = date(86_400);
const AUTHORIZED = { authorization: "Bearer a" };

const authorized = (title: string, value: string, expect: "stored" | "asked"): Row =>
  row(
    "9111 §3.5",
    `${expect === "stored" ? "stores" : "does not store"} an answer to Authorization ${title}`,
    [{ fields: { "cache-control": value } }],
    [{ fields: AUTHORIZED }, { fields: AUTHORIZED, expect }],
    SHARED,
  );

export const STORING: readonly Row[] = [
  notReused("9111 §5.2.2.5", "no-store", { "cache-control": "no-store" }),
  notReused("9111 §5.2.2.5", "no-store beside max-age", { "cache-control": "no-store, max-age=3600" }),
  notReused("9111 §5.2.2.5", "no-store after max-age", { "cache-control": "max-age=3600, no-store" }),
  notReused("9111 §5.2.2.5", "no-store on a second line", { "cache-control": ["max-age=3600", "no-store"] }),
  notReused("9111 §5.2.2.5", "NO-STORE in capitals", { "cache-control": "No-StOrE, max-age=3600" }),
  notReused("9111 §5.2.2.5", "no-store beside Expires", { "cache-control": "no-store", expires: AHEAD }),
  notReused("9111 §5.2.2.5", "no-store with an argument", { "cache-control": 'no-store="x", max-age=3600' }),
  notReused("9111 §5.2.2.5", "no-store beside s-maxage and public", {
    "cache-control": "public, no-store, s-maxage=3600",
  }),
  row(
    "9111 §5.2.2.5",
    "keeps nothing of no-store to validate later",
    [{ fields: { "cache-control": "no-store", etag: '"a"' } }],
    [{}, { expect: "asked", sent: { "if-none-match": undefined } }],
  ),
  notReused("9111 §5.2.2.4", "no-cache", { "cache-control": "no-cache" }),
  notReused("9111 §5.2.2.4", "no-cache beside max-age", { "cache-control": "no-cache, max-age=3600" }),
  notReused("9111 §5.2.2.4", "NO-CACHE in capitals", { "cache-control": "max-age=3600, NO-CACHE" }),
  notReused("9111 §5.2.2.4", "no-cache on a second line", { "cache-control": ["max-age=3600", "no-cache"] }),
  notReused("9111 §5.2.2.4", "no-cache beside Expires", { "cache-control": "no-cache", expires: AHEAD }),
  row(
    "9111 §5.2.2.4",
    "stores no-cache, and validates it by ETag",
    [{ fields: { "cache-control": "no-cache", etag: '"a"' }, unchanged: { etag: '"a"' } }],
    [{}, { expect: "validated", text: "reply 1", status: 200 }, { expect: "validated", text: "reply 1" }],
  ),
  row(
    "9111 §5.2.2.4",
    "stores no-cache with max-age, and validates it by Last-Modified",
    [{ fields: { "cache-control": "no-cache, max-age=3600", "last-modified": OLD }, unchanged: {} }],
    [{}, { expect: "validated", text: "reply 1", sent: { "if-modified-since": OLD } }],
  ),
  row(
    "9111 §5.2.2.4",
    "reuses what names fields in no-cache without them",
    [fresh({ "cache-control": 'max-age=3600, no-cache="x-a"', "x-a": "1", "x-b": "2" })],
    [{ got: { "x-b": "2" } }, { got: { "x-b": "2", "x-a": undefined } }],
  ),
  notReused("9111 §5.2.2.7", "private in a shared cache", { "cache-control": "private, max-age=3600" }, SHARED),
  notReused("9111 §5.2.2.7", "private beside s-maxage", { "cache-control": "private, s-maxage=3600" }, SHARED),
  notReused("9111 §5.2.2.7", "PRIVATE in capitals", { "cache-control": "max-age=3600, PrIvAtE" }, SHARED),
  notReused("9111 §5.2.2.7", "private on a second line", { "cache-control": ["max-age=3600", "private"] }, SHARED),
  notReused("9111 §5.2.2.7", "private beside public", { "cache-control": "public, private, max-age=3600" }, SHARED),
  reused("9111 §5.2.2.7", "private in a private cache", { "cache-control": "private, max-age=3600" }, PRIVATE),
  reused(
    "9111 §5.2.2.7",
    "private of any status in a private cache",
    {
      status: 299,
      fields: { "cache-control": "private", "last-modified": OLD },
    },
    PRIVATE,
  ),
  row(
    "9111 §5.2.2.7",
    "reuses what names private fields without them",
    [fresh({ "cache-control": 'max-age=3600, private="x-a"', "x-a": "1", "x-b": "2" })],
    [{ got: { "x-a": "1" } }, { expect: "stored", got: { "x-a": undefined, "x-b": "2" } }],
    SHARED,
  ),

  reused("9111 §5.2.2.3", "must-understand of a known status with no-store", {
    "cache-control": "max-age=3600, no-store, must-understand",
  }),
  notReused("9111 §5.2.2.3", "must-understand of an unknown status", {
    status: 299,
    fields: { "cache-control": "max-age=3600, must-understand" },
  }),
  notReused("9111 §5.2.2.3", "must-understand of an unknown status with no-store", {
    status: 499,
    fields: { "cache-control": "max-age=3600, no-store, must-understand" },
  }),

  row(
    "9111 §3.5",
    "does not give an answer to Authorization to others",
    [fresh()],
    [{ fields: AUTHORIZED }, { expect: "asked" }],
  ),
  row(
    "9111 §3.5",
    "stores an answer to Authorization for the same user",
    [fresh()],
    [{ fields: AUTHORIZED }, { fields: AUTHORIZED, expect: "stored" }],
    PRIVATE,
  ),
  authorized("with max-age alone", "max-age=3600", "asked"),
  authorized("with proxy-revalidate", "max-age=3600, proxy-revalidate", "asked"),
  authorized("with public", "max-age=3600, public", "stored"),
  authorized("with s-maxage", "s-maxage=3600", "stored"),
  authorized("with must-revalidate", "max-age=3600, must-revalidate", "stored"),
  authorized("with private and public", "max-age=3600, public, private", "asked"),
  row(
    "9111 §3.5",
    "answers Authorization from what was stored without",
    [fresh()],
    [{}, { fields: AUTHORIZED, expect: "stored" }],
    SHARED,
  ),

  notReused("9111 §7.3", "an answer with Set-Cookie in a shared cache", fresh({ "set-cookie": "a=b" }), SHARED),
  row(
    "9111 §7.3",
    "gives Set-Cookie to the one who asked",
    [fresh({ "set-cookie": "a=b" })],
    [{ got: { "set-cookie": "a=b" } }],
    GATEWAY,
  ),
  row(
    "9111 §3",
    "stores what comes to a request with a query by all of it",
    [fresh()],
    [
      { path: "?a=1" },
      { path: "?a=2", expect: "asked" },
      { path: "?a=1", expect: "stored" },
      { path: "", expect: "asked" },
      { path: "?a=1&b=2", expect: "asked" },
      { path: "?b=2&a=1", expect: "asked" },
      { path: "?A=1", expect: "asked" },
    ],
  ),
  row("9110 §4.2.3", "tells paths apart by case", [fresh()], [{ path: "/a" }, { path: "/A", expect: "asked" }]),
  row(
    "9110 §4.2.3",
    "tells a path from one with a slash more",
    [fresh()],
    [{ path: "/a" }, { path: "/a/", expect: "asked" }, { path: "/a", expect: "stored" }],
  ),
  row(
    "9110 §4.2.3",
    "tells an escaped slash from a slash",
    [fresh()],
    [{ path: "/a%2Fb" }, { path: "/a/b", expect: "asked" }],
  ),
  row(
    "9111 §3",
    "stores nothing of an empty query for one without",
    [fresh()],
    [{ path: "?" }, { path: "?x", expect: "asked" }],
  ),
  ...["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "M-SEARCH"].map((method) =>
    row(
      "9111 §3",
      `stores nothing of ${method} for GET`,
      [fresh()],
      [
        { method, ...(method !== "OPTIONS" && { body: "x" }) },
        { expect: "asked", count: 2 },
      ],
    ),
  ),
  row(
    "9111 §3",
    "stores nothing of POST for POST",
    [fresh()],
    [
      { method: "POST", body: "x" },
      { method: "POST", body: "x", expect: "asked", text: "reply 2" },
    ],
  ),
  row("9111 §3", "stores an empty body", [fresh({}, { body: "" })], [{ text: "" }, { expect: "stored", text: "" }]),
  row(
    "9111 §3",
    "stores a body without a length",
    [fresh({}, { trailers: { "x-t": "1" } })],
    [{ text: "reply 1" }, { expect: "stored", text: "reply 1" }],
  ),
  row("9111 §3", "stores 204", [fresh({}, { status: 204 })], [{ status: 204 }, { status: 204, expect: "stored" }]),
  row(
    "9111 §3.3",
    "stores nothing of a body that was cut",
    [fresh({ "content-length": "7" }, { cut: "within" }), fresh()],
    [{}, { expect: "asked", text: "reply 2" }],
  ),
  row(
    "9111 §3.3",
    "stores nothing of a chunked body that was cut",
    [fresh({ "transfer-encoding": "chunked", "content-length": undefined }, { cut: "within" }), fresh()],
    [{}, { expect: "asked", text: "reply 2" }],
  ),
  row(
    "9111 §3",
    "replaces what it has by a newer answer",
    [stale(), fresh()],
    [{ text: "reply 1" }, { text: "reply 2", expect: "asked" }, { text: "reply 2", expect: "stored" }],
  ),
  row(
    "9111 §3",
    "forgets what it has when a newer answer is not to be stored",
    [stale({ "last-modified": OLD }), { fields: { "cache-control": "no-store" } }, { status: 200 }],
    [{}, { text: "reply 2" }, { expect: "asked", sent: { "if-none-match": undefined } }],
  ),
  ...[301, 302, 303, 307, 308].map((status) =>
    row(
      "9111 §3",
      `stores the redirect ${status} as it is`,
      [fresh({ location: "/elsewhere" }, { status })],
      [
        { status, got: { location: "/elsewhere" } },
        { status, expect: "stored", got: { location: "/elsewhere" } },
      ],
    ),
  ),
  reused("9111 §5.4", "an answer with Pragma: no-cache and max-age", fresh({ pragma: "no-cache" })),
  reused("9111 §5.4", "an answer with Pragma: no-cache and Expires", { pragma: "no-cache", expires: AHEAD }),
  reused("9111 §5.5", "an answer with Warning", fresh({ warning: '110 - "Response is stale"' })),
  reused("9110 §8.3", "an answer of a type of its own", fresh({ "content-type": "application/foo; a=b" })),

  row(
    "9110 §2.5",
    "stores what an HTTP/1.0 origin says",
    [{ raw: "HTTP/1.0 200 OK\r\nCache-Control: max-age=3600\r\n\r\n{body}" }],
    [
      { status: 200, text: "reply 1" },
      { expect: "stored", text: "reply 1" },
    ],
  ),
  row(
    "9112 §6.3",
    "stores what ends with its connection",
    [{ raw: "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: max-age=3600\r\n\r\n{body}" }],
    [
      { status: 200, text: "reply 1" },
      { expect: "stored", text: "reply 1" },
    ],
  ),
  row(
    "9112 §6.3",
    "stores nothing of a body that is shorter than it says",
    [{ raw: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nCache-Control: max-age=3600\r\n\r\n{body}" }, fresh()],
    [{}, { expect: "asked", text: "reply 2" }],
  ),
  row(
    "9112 §5.1",
    "does not take for a field what has a blank in its name",
    [{ raw: "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nCache-Control : max-age=3600\r\n\r\n{body}" }],
    [{}, { expect: "asked" }],
    GATEWAY,
  ),
  row(
    "9112 §4",
    "stores what has no reason phrase",
    [{ raw: "HTTP/1.1 200 \r\nContent-Length: 7\r\nCache-Control: max-age=3600\r\n\r\n{body}" }],
    [
      { status: 200, text: "reply 1" },
      { expect: "stored", text: "reply 1" },
    ],
  ),
  row(
    "9110 §5.1",
    "stores by fields in any case",
    [{ raw: "HTTP/1.1 200 OK\r\ncontent-LENGTH: 7\r\nCACHE-control:max-age=3600\t \r\n\r\n{body}" }],
    [
      { status: 200, text: "reply 1" },
      { expect: "stored", text: "reply 1" },
    ],
  ),
  row(
    "9110 §4.2.3",
    "leaves fragments out of account",
    [fresh()],
    [{ path: "/a#b" }, { path: "/a#c", expect: "stored" }, { path: "/a", expect: "stored" }],
    ["private", "shared"],
  ),
  row(
    "9110 §4.2.3",
    "tells queries apart to the byte",
    [fresh()],
    [
      { path: "?a=%20" },
      { path: "?a=+", expect: "asked" },
      { path: "?a=%20", expect: "stored" },
      { path: "?a=%20&", expect: "asked" },
    ],
  ),
  row(
    "9110 §15.5.17",
    "stores a 416 to what asks for no range as any other status",
    [fresh({}, { status: 416 })],
    [{ status: 416 }, { status: 416, expect: "stored" }],
  ),
  row(
    "9111 §4.2.2",
    "stores by Last-Modified what was asked for with credentials only for the same user",
    [{ fields: { "last-modified": OLD } }],
    [{ fields: AUTHORIZED }, { fields: { authorization: "Bearer b" }, expect: "asked" }],
  ),
];

import type { Reply, Row } from "../scripted-http.js";
import { date, fresh, PRIVATE, row, SHARED, stale } from "./row.js";

const CUT: Reply = { cut: "before" };

/** What a stale answer comes to when the origin ends the connection. */
const disconnected = (own: string, isServed: boolean, faces?: Row["faces"]): Row =>
  row(
    "9111 §4.2.4",
    `${isServed ? "serves" : "does not serve"} what is stale with ${own} when the origin is cut`,
    [stale({ "cache-control": own }), CUT],
    [{}, isServed ? { status: 200, text: "reply 1" } : { status: 502 }],
    faces,
  );

const FAILING = [500, 502, 503, 504];

export const STALE: readonly Row[] = [
  disconnected("max-age=10", true),
  disconnected("max-age=10, public", true),
  disconnected("max-age=10, stale-if-error=1000", true),
  ...["must-revalidate", "no-cache"].map((own) => disconnected(`max-age=10, ${own}`, false, ["gateway"])),
  ...["proxy-revalidate", "s-maxage=5"].map((own) => disconnected(`max-age=10, ${own}`, false, ["gateway"])),
  disconnected("max-age=10, proxy-revalidate", true, PRIVATE),
  disconnected("max-age=10, s-maxage=5", true, PRIVATE),
  disconnected("max-age=10, stale-if-error=20", false, ["gateway"]),
  row(
    "9111 §4.2.4",
    "serves what expired when the origin is cut",
    [{ fields: { expires: date(-100), etag: '"a"' } }, CUT],
    [{}, { status: 200, text: "reply 1" }],
  ),
  row("9111 §4.2.4", "says how old it is that is served stale", [stale(), CUT], [{}, { got: { age: /^\d{3,}$/ } }]),
  row(
    "9111 §4.2.4",
    "does not serve what is stale to a request with no-cache",
    [stale(), CUT],
    [{}, { fields: { "cache-control": "no-cache" }, status: 502 }],
    ["gateway"],
  ),
  ...FAILING.flatMap((status) => [
    row(
      "5861 §4",
      `serves what is stale within stale-if-error for ${status}`,
      [stale({ "cache-control": "max-age=10, stale-if-error=1000" }), { status }],
      [{}, { status: 200, text: "reply 1", expect: "asked" }],
    ),
    row(
      "5861 §4",
      `gives ${status} past stale-if-error`,
      [stale({ "cache-control": "max-age=10, stale-if-error=20" }), { status }],
      [{}, { status, text: "reply 2" }],
    ),
    row(
      "9111 §4.2.4",
      `gives ${status} where nothing allows to serve what is stale`,
      [stale(), { status }],
      [{}, { status, text: "reply 2" }],
    ),
    row(
      "9111 §5.2.2.2",
      `gives ${status} with must-revalidate in spite of stale-if-error`,
      [stale({ "cache-control": "max-age=10, must-revalidate, stale-if-error=1000" }), { status }],
      [{}, { status, text: "reply 2" }],
    ),
    row(
      "5861 §4",
      `serves what is stale by the request's stale-if-error for ${status}`,
      [stale(), { status }],
      [{}, { fields: { "cache-control": "stale-if-error=1000" }, status: 200, text: "reply 1" }],
    ),
  ]),
  row(
    "5861 §4",
    "gives a 404 in spite of stale-if-error",
    [stale({ "cache-control": "max-age=10, stale-if-error=1000" }), { status: 404 }],
    [{}, { status: 404 }],
  ),
  row(
    "5861 §4",
    "gives 503 with proxy-revalidate in spite of stale-if-error when shared",
    [stale({ "cache-control": "max-age=10, proxy-revalidate, stale-if-error=1000" }), { status: 503 }],
    [{}, { status: 503 }],
    SHARED,
  ),
  row(
    "5861 §3",
    "serves what is stale within stale-while-revalidate, and asks behind it",
    [stale({ "cache-control": "max-age=10, stale-while-revalidate=1000" }), fresh({}, { delay: 50 })],
    [{}, { status: 200, text: "reply 1" }, { eventually: true, expect: "stored", text: "reply 2", count: 2 }],
  ),
  row(
    "5861 §3",
    "asks behind it with what validates",
    [
      stale(
        { "cache-control": "max-age=10, stale-while-revalidate=1000" },
        {
          unchanged: { etag: '"a"', "cache-control": "max-age=3600" },
        },
      ),
    ],
    [
      {},
      { text: "reply 1" },
      { eventually: true, expect: "stored", text: "reply 1", sent: { "if-none-match": '"a"' } },
    ],
  ),
  row(
    "5861 §3",
    "asks first past stale-while-revalidate",
    [stale({ "cache-control": "max-age=10, stale-while-revalidate=20" }), fresh()],
    [{}, { text: "reply 2", expect: "asked" }],
  ),
  row(
    "5861 §3",
    "asks first with must-revalidate in spite of stale-while-revalidate",
    [stale({ "cache-control": "max-age=10, must-revalidate, stale-while-revalidate=1000" }), fresh()],
    [{}, { text: "reply 2", expect: "asked" }],
  ),
  row(
    "5861 §3",
    "asks first for a request with no-cache in spite of stale-while-revalidate",
    [stale({ "cache-control": "max-age=10, stale-while-revalidate=1000" }), fresh()],
    [{}, { fields: { "cache-control": "no-cache" }, text: "reply 2", expect: "asked" }],
  ),
  row(
    "5861 §3",
    "goes on to serve what is stale while the origin fails behind it",
    [stale({ "cache-control": "max-age=10, stale-while-revalidate=1000" }), { status: 503 }],
    [{}, { text: "reply 1" }, { eventually: true, text: "reply 1", status: 200, count: 2 }],
  ),
  row(
    "9111 §4",
    "answers requests at once by one",
    [fresh({}, { delay: 100 })],
    [{}, ...Array.from({ length: 7 }, () => ({ together: true, text: "reply 1", count: 1 }))],
  ),
  row(
    "9111 §4",
    "answers requests at once each by its own where nothing may be stored",
    [{ fields: { "cache-control": "no-store" }, delay: 50 }],
    [{}, { together: true }, { together: true, count: 3 }],
  ),
  row(
    "9111 §4.2",
    "is stale when its age has reached max-age",
    [{ fields: { "cache-control": "max-age=1" } }],
    [{}, { wait: 1_100, expect: "asked" }],
  ),
  row(
    "9111 §4.2.3",
    "counts the time it has been stored",
    [fresh({ age: "100" })],
    [{ got: { age: "100" } }, { wait: 1_100, expect: "stored", got: { age: /^1(?:0[1-9]|[1-9]\d)$/ } }],
  ),
];

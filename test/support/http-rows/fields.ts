import type { Row } from "../scripted-http.js";
import { fresh, GATEWAY, row } from "./row.js";

const HOP_BY_HOP: Readonly<Record<string, string>> = {
  "keep-alive": "timeout=100",
  "proxy-connection": "keep-alive",
  te: "trailers",
  upgrade: "foo",
  "proxy-authenticate": "Basic",
  "proxy-authentication-info": "a=b",
};

/** What the gateway says of its own connection. */
const OWN: Readonly<Record<string, RegExp>> = { "keep-alive": /^timeout=60$/ };

const END_TO_END = [
  "x-a", "content-type", "content-language", "content-location", "content-disposition", "link", "server", "retry-after",
  "www-authenticate", "etag-x", "warning", "access-control-allow-origin", "strict-transport-security", "surrogate-control",
  "cdn-cache-control-x", "p3p", "x_under_score", "allow",
]; // prettier-ignore

export const FIELDS: readonly Row[] = [
  ...Object.entries(HOP_BY_HOP).map(([name, value]) =>
    row(
      "9111 §3.1",
      `neither stores nor forwards ${name} of an answer`,
      [fresh({ [name]: value })],
      [{ got: { [name]: OWN[name] } }, { expect: "stored", got: { [name]: OWN[name] } }],
      GATEWAY,
    ),
  ),
  ...Object.entries(HOP_BY_HOP).map(([name, value]) =>
    row(
      "9110 §7.6.1",
      `does not forward ${name} of a request`,
      [fresh()],
      [{ fields: name === "upgrade" ? { connection: "x-none" } : { [name]: value }, sent: { [name]: undefined } }],
      GATEWAY,
    ),
  ),
  row(
    "9111 §3.1",
    "neither stores nor forwards what Connection names",
    [fresh({ connection: "X-Hop, close", "x-hop": "1", "x-b": "1" })],
    [{ got: { "x-hop": undefined, "x-b": "1" } }, { expect: "stored", got: { "x-hop": undefined, "x-b": "1" } }],
  ),
  row(
    "9110 §7.6.1",
    "does not forward what a request names in Connection",
    [fresh()],
    [{ fields: { connection: "x-hop", "x-hop": "1", "x-b": "1" }, sent: { "x-hop": undefined, "x-b": "1" } }],
    GATEWAY,
  ),
  ...END_TO_END.map((name) =>
    row(
      "9111 §3.1",
      `stores ${name}`,
      [fresh({ [name]: "a b" })],
      [{ got: { [name]: "a b" } }, { expect: "stored", got: { [name]: "a b" } }],
    ),
  ),
  row(
    "9110 §5.3",
    "keeps several lines of a field",
    [fresh({ "x-a": ["1", "2", "3"] })],
    [{ got: { "x-a": "1, 2, 3" } }, { expect: "stored", got: { "x-a": "1, 2, 3" } }],
  ),
  row(
    "9110 §5.5",
    "keeps bytes of a field past ASCII",
    [fresh({ "x-a": "caf\u00e9" })],
    [{ got: { "x-a": "caf\u00e9" } }, { expect: "stored", got: { "x-a": "caf\u00e9" } }],
  ),
  row(
    "9110 §5.5",
    "keeps a field without a value",
    [fresh({ "x-a": "" })],
    [{ got: { "x-a": "" } }, { expect: "stored", got: { "x-a": "" } }],
  ),
  row(
    "9110 §6.6.1",
    "gives a Date to an answer that has none",
    [fresh({ date: undefined })],
    [{ got: { date: /GMT$/ } }, { expect: "stored", got: { date: /GMT$/ } }],
  ),
  row(
    "9110 §6.6.1",
    "keeps the Date that it has",
    [fresh({ date: "Mon, 01 Jan 2035 00:00:00 GMT" })],
    [
      { got: { date: "Mon, 01 Jan 2035 00:00:00 GMT" } },
      { expect: "stored", got: { date: "Mon, 01 Jan 2035 00:00:00 GMT" } },
    ],
  ),
  row(
    "9111 §5.1",
    "gives an Age to every answer from the store",
    [fresh()],
    [{}, { expect: "stored", got: { age: /^\d+$/ } }],
  ),
  row(
    "9111 §5.1",
    "gives no Age below the one that came",
    [fresh({ age: "100" })],
    [{ got: { age: "100" } }, { expect: "stored", got: { age: /^1\d\d$/ } }],
  ),
  row(
    "9111 §5.2",
    "forwards Cache-Control of a request",
    [fresh()],
    [{ fields: { "cache-control": "foo=bar" }, sent: { "cache-control": /foo=bar/ } }],
  ),
  row(
    "9111 §5.2",
    "forwards Cache-Control of an answer as it came",
    [{ fields: { "cache-control": 'max-age=3600, foo="bar", S-MaxAge=5' } }],
    [{ got: { "cache-control": 'max-age=3600, foo="bar", S-MaxAge=5' } }],
  ),
  row("9110 §7.6.3", "names itself to the origin", [fresh()], [{ sent: { via: /^1\.1 tiercache/ } }], GATEWAY),
  row(
    "9110 §7.6.3",
    "names itself to the origin after others",
    [fresh()],
    [{ fields: { via: "1.0 other" }, sent: { via: /^1\.0 other, 1\.1 tiercache/ } }],
    GATEWAY,
  ),
  row(
    "9110 §7.6.3",
    "keeps Via of an answer",
    [fresh({ via: "1.0 inner" })],
    [{ got: { via: /^1\.0 inner/ } }, { expect: "stored", got: { via: /^1\.0 inner/ } }],
  ),
  row(
    "9110 §7.2",
    "tells the origin which host was asked",
    [fresh()],
    [{ sent: { host: /^127\.0\.0\.1:\d+$/ } }],
    GATEWAY,
  ),
  row(
    "9110 §6.5",
    "gives a body with trailers whole",
    [fresh({}, { trailers: { "x-t": "1" } })],
    [
      { text: "reply 1" },
      { text: "reply 1", expect: "stored", got: { trailer: undefined, "transfer-encoding": undefined } },
    ],
    GATEWAY,
  ),
  row(
    "9110 §15.2",
    "takes an answer after 103 for the answer",
    [fresh({}, { before: ["103 Early Hints\r\nlink: </a>"] })],
    [
      { status: 200, text: "reply 1" },
      { status: 200, text: "reply 1", expect: "stored", got: { link: undefined } },
    ],
  ),
  row(
    "9110 §15.2",
    "takes an answer after 102 for the answer",
    [fresh({}, { before: ["102 Processing", "102 Processing"] })],
    [
      { status: 200, text: "reply 1" },
      { status: 200, text: "reply 1", expect: "stored" },
    ],
  ),
  row(
    "9110 §15.2",
    "forwards 102 and 103 as they come",
    [
      fresh(
        {},
        {
          before: [
            "102 Processing",
            "103 Early Hints\r\nlink: </a>\r\nx-a: 1\r\nconnection: x-hop\r\nx-hop: 1",
            "199 Soon",
          ],
        },
      ),
    ],
    [{ status: 200, text: "reply 1", informed: ["102", "103 link: </a> x-a: 1", "199"] }],
    GATEWAY,
  ),
  row(
    "9110 §15",
    "gives a status that is not known as it came",
    [fresh({}, { status: 299 })],
    [{ status: 299 }, { status: 299, expect: "stored" }],
  ),
  row(
    "9211 §2",
    "says of a miss why it went forward, and that it is stored",
    [fresh()],
    [
      { got: { "cache-status": /^tiercache;fwd=uri-miss;fwd-status=200;stored/ } },
      { got: { "cache-status": /^tiercache;hit;ttl=\d+$/ } },
    ],
  ),
  row(
    "9211 §2",
    "adds to the Cache-Status that came",
    [fresh({ "cache-status": "inner;hit" })],
    [
      { got: { "cache-status": /^inner;hit, tiercache;fwd=uri-miss/ } },
      { got: { "cache-status": /^inner;hit, tiercache;hit/ } },
    ],
  ),
  row(
    "9211 §2.2",
    "says of what is stale that it went forward",
    [{ fields: { "cache-control": "max-age=0", etag: '"a"' }, unchanged: { etag: '"a"' } }],
    [{}, { got: { "cache-status": /tiercache;fwd=stale;fwd-status=304/ } }],
  ),
  row(
    "9211 §2.2",
    "says of a variant's miss that it was one",
    [fresh({ vary: "x-a" })],
    [{ fields: { "x-a": "1" } }, { fields: { "x-a": "2" }, got: { "cache-status": /fwd=vary-miss/ } }],
  ),
  row(
    "9211 §2.2",
    "says of a method that is not cached that it was that",
    [{}],
    [{ method: "POST", body: "x", got: { "cache-status": /fwd=method/ } }],
  ),

  // Bytes as they are on the wire: `fetch` decodes them.
  ...["gzip", "br", "deflate", "identity", "foo"].map((coding) =>
    row(
      "9110 §8.4",
      `gives ${coding} to who accepts it as it came`,
      [fresh({ "content-encoding": coding })],
      [
        { fields: { "accept-encoding": coding }, text: "reply 1", got: { "content-encoding": coding } },
        {
          fields: { "accept-encoding": coding },
          expect: "stored",
          text: "reply 1",
          got: { "content-encoding": coding },
        },
      ],
      GATEWAY,
    ),
  ),
  row(
    "9111 §5.2.2.6",
    "gives what is not to be transformed as it came",
    [fresh({ "content-encoding": "gzip", "cache-control": "max-age=3600, no-transform" })],
    [
      { text: "reply 1", got: { "content-encoding": "gzip" } },
      { expect: "stored", text: "reply 1", got: { "content-encoding": "gzip" } },
    ],
    GATEWAY,
  ),
  row(
    "9110 §8.4",
    "gives a coding that it does not know as it came to all",
    [fresh({ "content-encoding": "foo" })],
    [
      { text: "reply 1", got: { "content-encoding": "foo" } },
      { expect: "stored", text: "reply 1", got: { "content-encoding": "foo" } },
    ],
    GATEWAY,
  ),
  ...["content-md5", "content-digest", "repr-digest", "age-x", "expires-x", "set-cookie2-x", "x-content-length"].map(
    (name) =>
      row(
        "9111 §3.1",
        `stores ${name} in several lines`,
        [fresh({ [name]: ["a", "b"] })],
        [{}, { expect: "stored", got: { [name]: "a, b" } }],
      ),
  ),
];

import type { Row, Turn } from "../scripted-http.js";
import { fresh, row } from "./row.js";

const unsafe = (method: string, more: Turn = {}): Turn => ({ method, body: "x", ...more });

const VARIED = fresh({ vary: "x-a" });

const named = (
  field: string,
  value: (path: string) => string,
  expect: "asked" | "stored",
  what: string,
): readonly Row[] =>
  ["POST", "M-SEARCH"].map((method) =>
    row(
      "9111 §4.4",
      `${expect === "asked" ? "forgets" : "keeps"} what ${field} of ${method} names, ${what}`,
      [fresh(), { status: 201, fields: { [field]: value("other") } }, fresh()],
      [{ path: "/a/other" }, unsafe(method, { path: "/a/mine" }), { path: "/a/other", expect }],
    ),
  );

export const INVALIDATION: readonly Row[] = [
  ...["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"].flatMap((method) => [
    ...(method === "POST" ? [200, 201, 204, 299, 301, 302, 303, 308] : [200, 303]).map((status) =>
      row(
        "9111 §4.4",
        `forgets what ${method} with ${status} was asked of`,
        [fresh(), { status }, fresh()],
        [{}, unsafe(method, { status }), { expect: "asked", text: "reply 3", count: 3 }],
      ),
    ),
    ...(method === "POST" ? [400, 404, 409, 500, 503] : [404, 500]).map((status) =>
      row(
        "9111 §4.4",
        `keeps what ${method} with ${status} was asked of`,
        [fresh(), { status }],
        [{}, unsafe(method, { status }), { expect: "stored", text: "reply 1" }],
      ),
    ),
  ]),
  ...["OPTIONS"].map((method) =>
    row(
      "9111 §4.4",
      `keeps what ${method} was asked of`,
      [fresh(), { status: 200 }],
      [{}, { method }, { expect: "stored", text: "reply 1" }],
    ),
  ),
  ...["location", "content-location"].flatMap((field) => [
    ...named(field, (name) => name, "asked", "relative to it"),
    ...named(field, (name) => `./${name}#x`, "asked", "with a fragment"),
    ...named(field, (name) => `{here}/a/${name}`, "asked", "with its origin"),
    ...named(field, (name) => `http://127.0.0.1:1/a/${name}`, "stored", "of another port"),
    ...named(field, (name) => `http://other.example/a/${name}`, "stored", "of another origin"),
    ...named(field, () => "http://[", "stored", "which is no URL"),
  ]),
  row(
    "9111 §4.4",
    "forgets all variants",
    [VARIED, VARIED, { status: 200 }, VARIED],
    [
      { fields: { "x-a": "1" } },
      { fields: { "x-a": "2" } },
      unsafe("POST"),
      { fields: { "x-a": "1" }, expect: "asked" },
      { fields: { "x-a": "2" }, expect: "asked" },
    ],
  ),
  row(
    "9111 §4.4",
    "keeps what an unsafe request to another query was asked of",
    [fresh(), { status: 200 }],
    [{ path: "?a" }, unsafe("POST", { path: "?b" }), { path: "?a", expect: "stored" }],
  ),
  row(
    "9111 §4.4",
    "keeps what lies below",
    [fresh(), { status: 200 }],
    [{ path: "/a/b" }, unsafe("POST", { path: "/a" }), { path: "/a/b", expect: "stored" }],
  ),
  row(
    "9875 §3",
    "forgets groups that an unsafe answer names",
    [fresh({ "cache-groups": '"g"' }), { status: 200, fields: { "cache-group-invalidation": '"g"' } }, fresh()],
    [{ path: "/a" }, unsafe("POST", { path: "/b" }), { path: "/a", expect: "asked" }],
  ),
];

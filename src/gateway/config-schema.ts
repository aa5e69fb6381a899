import { isIP } from "node:net";

import { addressRange } from "./addresses.js";
import type { GatewayConfig } from "./config.js";
import {
  boolean,
  bytes,
  duration,
  integer,
  list,
  object,
  oneOf,
  record,
  text,
  value,
  type Check,
  type Issue,
} from "./schema.js";

const LONGEST = 2 ** 31 - 1;

const fieldName = text("the name of a header field", /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
const fieldValue = text("a header field's value, without line ends", /^[\t\x20-\x7e\x80-\xff]*$/);
const fieldNames = list(fieldName);
const name = text("a name of letters, digits, `.`, `_` and `-`", /^[\w.-]+$/);
const hostPattern = text("a host without a port, or `*.` and a host", /^(\*\.)?[\w-]+(\.[\w-]+)*$|^\[[\da-fA-F:.]+\]$/);
const file = text("the path of a file", /^[^\0]+$/);
const address = value(
  "an address of this machine",
  (given) => typeof given === "string" && (isIP(given) > 0 || given === "localhost"),
);
const parameters = list(text("the name of a query parameter", /^[^&=#]+$/));

const originUrl: Check = value("an http: or https: URL without path, query and credentials", (given) => {
  if (typeof given !== "string" || !URL.canParse(given)) return false;
  const { protocol, pathname, search, hash, username, password } = new URL(given);
  const isPlain = pathname === "/" && search === "" && hash === "" && username === "" && password === "";
  return isPlain && (protocol === "http:" || protocol === "https:");
});

const pathPrefix: Check = value("a path in normal form, such as `/api`", (given) => {
  if (typeof given !== "string" || !given.startsWith("/") || /[?#\\]/.test(given)) return false;
  return new URL(`http://host${given}`).pathname === given;
});

const healthPath = text("a path, such as `/health`", /^\/[^\s#]*$/);

const origin = object(
  {
    urls: list(originUrl, 1),
    balance: oneOf("round-robin", "least-pending"),
    connections: integer(1, 100_000),
    connectTimeout: duration(1),
    headersTimeout: duration(1),
    bodyTimeout: duration(1),
    retries: object({
      most: integer(0, 10),
      budget: value("a number from 0 to 1", (given) => typeof given === "number" && given >= 0 && given <= 1),
      statuses: list(integer(500, 599)),
    }),
    health: object({
      failures: integer(1, 1_000),
      cooldown: duration(1),
      path: healthPath,
      interval: duration(100),
      timeout: duration(1),
    }),
    host: oneOf("client", "own"),
    ca: file,
  },
  ["urls"],
);

const headers = {
  set: record(fieldValue, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "the name of a header field"),
  remove: fieldNames,
};

const route = object({
  host: hostPattern,
  path: pathPrefix,
  origin: name,
  cache: boolean,
  ttl: object({
    default: duration(),
    override: duration(),
    staleWhileRevalidate: duration(),
    staleIfError: duration(),
  }),
  query: object({ only: parameters, without: parameters, sort: boolean }),
  requestHeaders: object({ ...headers, allow: fieldNames, only: fieldNames }),
  responseHeaders: object(headers),
});

const listen = object({
  port: integer(0, 65_535),
  host: address,
  tls: object({ cert: file, key: file }, ["cert", "key"]),
  http2: boolean,
});

const admin = object(
  { port: integer(0, 65_535), host: address, token: text("16 visible characters or more", /^[\x21-\x7e]{16,}$/) },
  ["port"],
);

const cache = object({
  memory: bytes,
  folder: file,
  folderBytes: bytes,
  redis: text("a redis: or rediss: URL", /^rediss?:\/\/\S+$/),
  maxBodyBytes: bytes,
  keepStale: duration(),
  staleOnDisconnect: boolean,
  storeSetCookie: boolean,
});

const limits = object({
  headerBytes: bytes,
  headerCount: integer(1, 10_000),
  targetBytes: bytes,
  bodyBytes: bytes,
  headersTimeout: duration(1),
  bodyTimeout: duration(1),
  stallTimeout: duration(1),
  keepAliveTimeout: duration(1),
  connections: integer(1, LONGEST),
  shutdownTimeout: duration(),
});

const config = object({
  origin: originUrl,
  origins: record(origin, /^[\w.-]+$/, "a name of letters, digits, `.`, `_` and `-`"),
  routes: list(route),
  listen,
  admin: (given, path, issues) => (given === false ? undefined : admin(given, path, issues)),
  cache,
  limits,
  hosts: list(hostPattern, 1),
  trustedProxies: list(
    value(
      "an address or a network such as `10.0.0.0/8`",
      (given) => typeof given === "string" && addressRange(given) !== undefined,
    ),
  ),
  sensitiveQuery: parameters,
  accessLog: boolean,
  name,
});

/** What is wrong with a configuration, in the order in which it stands there. */
export function issuesOf(given: unknown): readonly Issue[] {
  const issues: Issue[] = [];
  config(given, [], issues);
  // What refers to something else is looked at once all of it has its shape.
  if (issues.length === 0) checkReferences(given as GatewayConfig, issues);
  return issues;
}

function checkReferences(given: GatewayConfig, issues: Issue[]): void {
  const add = (path: Issue["path"], message: string): void => void issues.push({ path, isName: false, message });
  const groups = Object.keys(given.origins ?? {});
  if (given.origin !== undefined && groups.includes("default")) {
    add(["origin"], "Expected `origin` to come without `origins.default`, which is the same");
  }
  const known = given.origin === undefined ? groups : [...groups, "default"];
  if (known.length === 0) add([], "Expected `origin` or `origins` to be given");
  for (const [index, { origin = "default" }] of (given.routes ?? []).entries()) {
    if (known.includes(origin)) continue;
    add(
      ["routes", index, "origin"],
      `Expected \`routes[${index}].origin\` to be one of ${known.join(", ")}, got \`${JSON.stringify(origin)}\``,
    );
  }
  const { admin: asked, cache: kept } = given;
  if (asked !== undefined && asked !== false && asked.token === undefined && !isLoopback(asked.host ?? "127.0.0.1")) {
    add(["admin", "host"], "Expected `admin.host` to be a loopback address, or `admin.token` to be given");
  }
  if (kept?.redis !== undefined && kept.folder !== undefined) {
    add(["cache", "redis"], "Expected `cache.redis` to come without `cache.folder`: one of them is shared");
  }
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

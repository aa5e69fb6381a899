import type { IncomingMessage } from "node:http";

import { fieldLines, fieldValue, type Fields } from "../http/fields.js";
import { splitList } from "../http/lists.js";
import type { NodeRequest } from "../http/node/answer.js";
import { hasBody, nodeFields } from "../http/node/fields.js";
import { TextMemo } from "../http/text-memo.js";
import { plainAddress } from "./addresses.js";
import type { ResolvedConfig } from "./resolve-config.js";
import { keyQuery, matchesHost, parameterName, routeFor, type ResolvedRoute } from "./routes.js";

/** A request that the gateway does not take to an origin. */
export interface Refusal {
  readonly status: number;
  readonly why: string;
}

/** A request that has passed the door, in the form in which it is keyed and forwarded. */
export interface SeenRequest {
  readonly method: string;
  /** Absolute and in normal form: what the client asked for. */
  readonly url: URL;
  /** The same with the query that is part of the key. */
  readonly keyUrl: URL;
  readonly fields: Fields;
  readonly route: ResolvedRoute;
  readonly hasBody: boolean;
  /** Its query has a secret in it. */
  readonly isSensitive: boolean;
  /** Whom the request comes from: the client, or the nearest of its proxies that is not trusted. */
  readonly client: string;
  /** The connection is from a trusted proxy. */
  readonly isTrusted: boolean;
}

/** What a request's URL alone says. */
type Target = Pick<SeenRequest, "url" | "keyUrl" | "route" | "isSensitive">;

/** Targets of one configuration that were met before: to parse one is a good part of a hit. */
export class KnownTargets {
  readonly #targets = new TextMemo<Target>();

  /** @param text an absolute URL whose path has not been looked at yet. */
  of(text: string, config: ResolvedConfig): Target | Refusal {
    const before = this.#targets.get(text);
    if (before !== undefined) return before;
    const target = targetOf(text, text.indexOf("/", text.indexOf("//") + 2), config);
    return "why" in target ? target : this.#targets.keep(text, target);
  }
}

const AUTHORITY = /^(?:[\w.~!$&'()*+,;=%-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?$/;
/** Methods that the key's GET and HEAD are not: a body of theirs means nothing to most servers. */
const READS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** Looks a request over: what is ambiguous or too much is refused. */
export function see(
  incoming: NodeRequest,
  config: ResolvedConfig,
  known: KnownTargets = new KnownTargets(),
): SeenRequest | Refusal {
  const method = incoming.method ?? "GET";
  const fields = nodeFields(incoming);
  const refusal = refusalOf(incoming, method, fields, config);
  if (refusal !== undefined) return refusal;
  const address = plainAddress(incoming.socket.remoteAddress ?? "");
  const isTrusted = config.isTrusted(address);
  const text = effectiveUrl(incoming, fields, isTrusted);
  if (typeof text !== "string") return text;
  const target = known.of(text, config);
  if ("why" in target) return target;
  return {
    method,
    ...target,
    fields,
    hasBody: hasBody(incoming),
    client: isTrusted ? clientOf(fields, address, config.isTrusted) : address,
    isTrusted,
  };
}

function refusalOf(incoming: NodeRequest, method: string, fields: Fields, config: ResolvedConfig): Refusal | undefined {
  const { limits } = config;
  if (method === "TRACE" || method === "CONNECT" || method === "TRACK") return { status: 405, why: "method" };
  if (fields.length > limits.headerCount) return { status: 431, why: "too many header fields" };
  if ((incoming.url ?? "").length > limits.targetBytes) return { status: 414, why: "target too long" };
  const framing = framingRefusal(incoming, method, fields);
  if (framing !== undefined) return framing;
  if (Number(fieldValue(fields, "content-length") ?? 0) > limits.bodyBytes)
    return { status: 413, why: "body too long" };
  return undefined;
}

/**
 * Requests whose end another server may see elsewhere (RFC 9112 §6.1, §6.3). Node's parser refuses most of them before; none of it is
 * left to that alone.
 */
function framingRefusal(incoming: NodeRequest, method: string, fields: Fields): Refusal | undefined {
  const lengths = fieldLines(fields, "content-length");
  const codings = fieldLines(fields, "transfer-encoding");
  if (lengths.length > 1) return { status: 400, why: "more than one Content-Length" };
  if (lengths.length === 1 && !/^\d{1,15}$/.test(lengths[0] ?? "")) return { status: 400, why: "Content-Length" };
  if (codings.length === 0) return undefined;
  if (lengths.length > 0) return { status: 400, why: "Content-Length and Transfer-Encoding" };
  if (incoming.httpVersion === "1.0") return { status: 400, why: "Transfer-Encoding in HTTP/1.0" };
  if (codings.length > 1 || codings[0]?.toLowerCase() !== "chunked") return { status: 501, why: "Transfer-Encoding" };
  return READS.has(method) ? { status: 400, why: "a body without a length" } : undefined;
}

/** The URL that is asked for, as it is written (RFC 9110 §7.1): the target's own authority counts before Host, as HTTP/2's does (RFC 9113 §8.3.1). */
function effectiveUrl(incoming: NodeRequest, fields: Fields, isTrusted: boolean): string | Refusal {
  const target = incoming.url ?? "";
  const hosts = fieldLines(fields, "host");
  if (hosts.length > 1) return { status: 400, why: "more than one Host" };
  const absolute = target.startsWith("/") ? null : /^(https?):\/\/([^/?#]*)([^#]*)$/i.exec(target);
  if (absolute === null && !target.startsWith("/")) return { status: 400, why: "target" };
  const pseudo = "authority" in incoming ? incoming.authority : undefined;
  const authority = absolute?.[2] ?? pseudo ?? hosts[0] ?? "";
  if (pseudo !== undefined && hosts.length > 0 && hosts[0] !== pseudo) return { status: 400, why: "Host" };
  if (!AUTHORITY.test(authority)) return { status: 400, why: "host" };
  const path = absolute === null ? target : (absolute[3] ?? "");
  if (/[#\\]/.test(path)) return { status: 400, why: "target" };
  const scheme = schemeOf(incoming, fields, isTrusted);
  // A client's word for it would be the origin's, in X-Forwarded-Proto (RFC 9110 §7.4).
  if (absolute !== null && absolute[1]?.toLowerCase() !== scheme) return { status: 421, why: "scheme" };
  return `${scheme}://${authority}${path.startsWith("/") ? path : `/${path}`}`;
}

function targetOf(text: string, path: number, config: ResolvedConfig): Target | Refusal {
  let url: URL;
  // Dots are resolved here, and nowhere else: this is the path that is matched, keyed and forwarded.
  try {
    url = new URL(`${text.slice(0, path)}${normalEscapes(text.slice(path))}`);
  } catch {
    return { status: 400, why: "target" };
  }
  if (config.hosts !== undefined && !config.hosts.some((pattern) => matchesHost(pattern, url.hostname))) {
    return { status: 421, why: "a host that is not served" };
  }
  const route = routeFor(config.routes, url.hostname, url.pathname);
  // The last route matches all; a configuration without `default` has origins for some only.
  if (route === undefined || !config.origins.has(route.origin)) return { status: 404, why: "no route" };
  return { url, keyUrl: keyUrlOf(url, route), route, isSensitive: hasSecret(url, config.sensitiveQuery) };
}

function schemeOf(incoming: NodeRequest, fields: Fields, isTrusted: boolean): string {
  const said = isTrusted
    ? splitList(fieldValue(fields, "x-forwarded-proto") ?? "")
        .members.at(-1)
        ?.toLowerCase()
    : undefined;
  if (said === "http" || said === "https") return said;
  return (incoming as IncomingMessage).socket !== undefined && "encrypted" in incoming.socket ? "https" : "http";
}

/** Escapes in one form (RFC 3986 §6.2.2): capital digits, and none for what needs none. */
export function normalEscapes(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(/%([\da-fA-F]{2})/g, (escape, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return /[\w.~-]/.test(character) ? character : escape.toUpperCase();
  });
}

function keyUrlOf(url: URL, route: ResolvedRoute): URL {
  if (route.query === undefined || url.search === "") return url;
  const key = new URL(url);
  key.search = keyQuery(url.search, route.query);
  return key;
}

function hasSecret(url: URL, names: ReadonlySet<string>): boolean {
  if (url.search === "" || names.size === 0) return false;
  return url.search
    .slice(1)
    .split("&")
    .some((pair) => names.has(parameterName(pair).toLowerCase()));
}

/** The last address in X-Forwarded-For that no trusted proxy has: what stands before it anybody may have written. */
function clientOf(fields: Fields, address: string, isTrusted: (address: string) => boolean): string {
  const before = splitList(fieldValue(fields, "x-forwarded-for") ?? "").members;
  return [...before].reverse().find((one) => !isTrusted(one)) ?? before[0] ?? address;
}

/** Whether a method's answers may come from the store. */
export function isRead(method: string): boolean {
  return READS.has(method);
}

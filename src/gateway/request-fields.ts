import { fieldValue, withoutFields, type Fields } from "../http/fields.js";
import { connectionFields } from "../http/hop-by-hop.js";
import { ASKING_FIELDS } from "../http/validation.js";
import type { ResolvedRoute } from "./routes.js";

/** What the gateway says of the request itself, so that a client's word for it never passes. */
const OWN: ReadonlySet<string> = new Set([
  "content-length",
  "expect",
  "forwarded",
  "host",
  "http2-settings",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/**
 * Fields by which servers and frameworks let a request be another one than its line says: who asks, for which path, of which
 * host. None is part of the key, so what one client says in them would be stored for all.
 */
const DANGEROUS: ReadonlySet<string> = new Set([
  "base-url",
  "client-ip",
  "front-end-https",
  "proxy",
  "proxy-host",
  "request-uri",
  "true-client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-forwarded",
  "x-forwarded-path",
  "x-forwarded-port",
  "x-forwarded-prefix",
  "x-forwarded-protocol",
  "x-forwarded-scheme",
  "x-forwarded-server",
  "x-forwarded-ssl",
  "x-forwarded-uri",
  "x-host",
  "x-http-destinationurl",
  "x-http-host-override",
  "x-original-host",
  "x-original-uri",
  "x-original-url",
  "x-originating-ip",
  "x-proxy-url",
  "x-proxyuser-ip",
  "x-real-ip",
  "x-remote-addr",
  "x-remote-ip",
  "x-rewrite-url",
  "x-url-scheme",
]);

/** They make a POST something else, which is their use, and must not make a GET something else, which is stored. */
const METHOD_OVERRIDES: ReadonlySet<string> = new Set(["x-http-method", "x-http-method-override", "x-method-override"]);

/** The request as the fields see it. */
export interface Forwarding {
  readonly isRead: boolean;
  readonly url: URL;
  readonly httpVersion: string;
  /** The address of the connection. */
  readonly address: string;
  readonly isTrusted: boolean;
  /** This gateway in Via. */
  readonly via: string;
}

/** The fields of a request on its way to the origin. */
export function forwardedFields(fields: Fields, route: ResolvedRoute, request: Forwarding): Fields {
  const dropped = new Set([...connectionFields(fields), ...route.request.remove]);
  const { allow, only } = route.request;
  const kept = fields.filter(([name]) => {
    if (OWN.has(name) || dropped.has(name)) return false;
    if (allow.has(name)) return true;
    // To a CGI program `X_Real_IP` is `X-Real-IP`.
    const plain = name.replaceAll("_", "-");
    if (DANGEROUS.has(plain) || (plain !== name && OWN.has(plain))) return false;
    if (!request.isRead) return true;
    if (METHOD_OVERRIDES.has(plain)) return false;
    // They ask for a part, or whether it has changed.
    return only === undefined || only.has(name) || ASKING_FIELDS.has(name);
  });
  return [...kept, ...ownFields(fields, request), ...route.request.set];
}

/** What the gateway says of the request: to the proxies it trusts it adds, and everybody else's word it replaces. */
function ownFields(fields: Fields, { url, httpVersion, address, isTrusted, via }: Forwarding): Fields {
  const before = (name: string): string | undefined => (isTrusted ? fieldValue(fields, name) : undefined);
  const addresses = before("x-forwarded-for");
  const hops = fieldValue(fields, "via");
  const hop = `${httpVersion} ${via}`;
  return [
    ["via", hops === undefined || hops === "" ? hop : `${hops}, ${hop}`],
    ["x-forwarded-for", addresses === undefined || addresses === "" ? address : `${addresses}, ${address}`],
    // Of what is keyed, whoever says something else: it would reach answers that others get.
    ["x-forwarded-host", url.host],
    ["x-forwarded-proto", url.protocol.slice(0, -1)],
  ];
}

/** Whether a request has been at this gateway before (RFC 9110 §7.6.3). */
export function isLoop(fields: Fields, via: string): boolean {
  const hops = fieldValue(fields, "via");
  return hops !== undefined && hops.split(",").some((hop) => hop.trim().split(/\s+/)[1] === via);
}

/** A response's fields by a route's rules. */
export function changedFields(fields: Fields, { response }: ResolvedRoute): Fields {
  if (response.remove.size === 0) return fields;
  return [...withoutFields(fields, response.remove), ...response.set];
}

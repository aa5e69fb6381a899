import { cacheStatus } from "../http/cache-status.js";
import type { Answer } from "../http/exchange.js";
import { serializeItem } from "../http/structured-fields.js";
import type { Refusal } from "./request.js";

/** What went wrong, in the words of RFC 9209 §2.3. */
export type ProxyError =
  | "dns_error"
  | "destination_unavailable"
  | "connection_refused"
  | "connection_terminated"
  | "connection_timeout"
  | "http_response_timeout"
  | "http_response_header_section_size"
  | "http_protocol_error"
  | "tls_protocol_error"
  | "tls_certificate_error"
  | "proxy_loop_detected"
  | "proxy_internal_error"
  | "http_request_error"
  | "http_request_denied";

/** An origin that did not answer. */
export class OriginError extends Error {
  override readonly name = "OriginError";
  readonly kind: ProxyError;
  /** Nothing of the request has reached a server. */
  readonly isUnsent: boolean;

  constructor(kind: ProxyError, isUnsent: boolean, cause: unknown) {
    super(`The origin did not answer: ${kind}`, { cause });
    this.kind = kind;
    this.isUnsent = isUnsent;
  }
}

const UNSENT: ReadonlyMap<string, ProxyError> = new Map([
  ["ECONNREFUSED", "connection_refused"],
  ["EHOSTUNREACH", "destination_unavailable"],
  ["ENETUNREACH", "destination_unavailable"],
  ["ENOENT", "destination_unavailable"],
  ["ENOTFOUND", "dns_error"],
  ["EAI_AGAIN", "dns_error"],
  ["ETIMEDOUT", "connection_timeout"],
  ["UND_ERR_CONNECT_TIMEOUT", "connection_timeout"],
  ["UND_ERR_CLOSED", "destination_unavailable"],
  ["UND_ERR_DESTROYED", "destination_unavailable"],
]);

const SENT: ReadonlyMap<string, ProxyError> = new Map([
  ["UND_ERR_HEADERS_TIMEOUT", "http_response_timeout"],
  ["UND_ERR_BODY_TIMEOUT", "http_response_timeout"],
  ["UND_ERR_HEADERS_OVERFLOW", "http_response_header_section_size"],
  ["ECONNRESET", "connection_terminated"],
  ["EPIPE", "connection_terminated"],
  ["UND_ERR_SOCKET", "connection_terminated"],
]);

/** What a failure to get an answer was. */
export function originError(cause: unknown): OriginError {
  if (cause instanceof OriginError) return cause;
  const code = codeOf(cause);
  const unsent = UNSENT.get(code);
  if (unsent !== undefined) return new OriginError(unsent, true, cause);
  if (/^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT)/.test(code)) {
    return new OriginError("tls_certificate_error", true, cause);
  }
  if (/^(?:ERR_SSL_|ERR_TLS_|EPROTO)/.test(code)) return new OriginError("tls_protocol_error", true, cause);
  return new OriginError(SENT.get(code) ?? "http_protocol_error", false, cause);
}

/** Of several addresses that were tried, the first's. */
function codeOf(cause: unknown): string {
  if (cause instanceof AggregateError) return codeOf(cause.errors[0]);
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "";
}

const TIMEOUTS: ReadonlySet<ProxyError> = new Set(["connection_timeout", "http_response_timeout"]);

/** The answer to a client whose request has got none from the origin. */
export function failureAnswer(name: string, error: unknown): Answer {
  if (error instanceof RefusedUpload) return refusalAnswer(name, error.refusal);
  const kind = error instanceof OriginError ? error.kind : "proxy_internal_error";
  return errorAnswer(name, TIMEOUTS.has(kind) ? 504 : 502, kind, undefined);
}

/** The answer to a request that the gateway does not take. */
export function refusalAnswer(name: string, { status, why }: Refusal): Answer {
  const kind = status === 403 || status === 421 ? "http_request_denied" : "http_request_error";
  return errorAnswer(name, status, why === "loop" ? "proxy_loop_detected" : kind, why);
}

function errorAnswer(name: string, status: number, error: ProxyError, details: string | undefined): Answer {
  const said = serializeItem(name, [
    ["error", error],
    ...(details === undefined ? [] : [["details", details] as const]),
  ]);
  return {
    status,
    statusText: "",
    fields: [
      ["proxy-status", said],
      ["cache-status", cacheStatus(name, { detail: error })],
      ["cache-control", "no-store"],
      ["content-length", "0"],
    ],
    body: null,
  };
}

/** A request's body that turned out, on its way, to be more than is taken, or too slow. */
export class RefusedUpload extends Error {
  override readonly name = "RefusedUpload";
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(`The request was refused: ${refusal.why}`);
    this.refusal = refusal;
  }
}

import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { CallResult } from "./vendor.js";

/** A request to a vendor. `node:http` and not `fetch`: PURGE and BAN name a Host of their own. */
export interface VendorRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal: AbortSignal;
  /** What must not show in a reason. */
  readonly secrets?: readonly string[] | undefined;
}

export interface VendorResponse {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: number | undefined;
}

/** Longest answer that is read; what follows is not looked at. */
const MAX_ANSWER = 262_144;
const MAX_REASON = 200;

/** Sends, and judges the answer. Never rejects. */
export async function sendCall(
  request: VendorRequest,
  judge: (response: VendorResponse) => CallResult,
): Promise<CallResult> {
  let response: VendorResponse;
  try {
    response = await sendRequest(request);
  } catch (error) {
    const reason = request.signal.aborted ? "no answer in time" : `not reached (${codeOf(error)})`;
    return { kind: "failed", reason, again: true };
  }
  const result = judge(response);
  return result.kind === "failed" ? { ...result, reason: shown(result.reason, request.secrets ?? []) } : result;
}

/** The failure of an answer by its status: worth another try or not. */
export function failedBy(response: VendorResponse, detail = ""): CallResult {
  const { status, retryAfter } = response;
  const again = status === 408 || status === 425 || status === 429 || status >= 500;
  return {
    kind: "failed",
    reason: `answered ${status}${detail === "" ? "" : `: ${detail}`}`,
    again,
    after: retryAfter,
  };
}

/** An answer as JSON; `undefined` for what is none. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is none of the vendor's documented answers, as any other shape is.
    return undefined;
  }
}

function sendRequest({ url, method, headers, body, signal }: VendorRequest): Promise<VendorResponse> {
  return new Promise((resolve, reject) => {
    const start = url.protocol === "https:" ? httpsRequest : httpRequest;
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const outgoing = start(url, { method, headers: { ...headers, ...length }, signal }, (incoming) => {
      const parts: Buffer[] = [];
      let size = 0;
      const finish = (): void => {
        const retryAfter = secondsIn(incoming.headers["retry-after"]);
        resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(parts).toString("utf8"), retryAfter });
      };
      incoming.on("data", (part: Buffer) => {
        if (size < MAX_ANSWER) parts.push(part);
        size += part.length;
        if (size <= MAX_ANSWER) return;
        finish();
        incoming.destroy();
      });
      incoming.once("end", finish);
      incoming.once("error", reject);
    });
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}

/** Retry-After as milliseconds; a date is left to the back-off. */
function secondsIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1_000 : undefined;
}

function codeOf(error: unknown): string {
  const code: unknown = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "no connection";
}

/** Short, in visible characters, and without secrets, whatever the vendor has sent back. */
function shown(reason: string, secrets: readonly string[]): string {
  let text = reason;
  for (const secret of secrets) if (secret !== "") text = text.replaceAll(secret, "[secret]");
  return text.replace(/[^\x20-\x7e]+/g, " ").slice(0, MAX_REASON);
}
